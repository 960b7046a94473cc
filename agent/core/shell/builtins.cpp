// The shell's own commands: modes, the candidate, the running configuration.
#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/core/shell/session.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace json = boost::json;

using Outcome = Awaitable<Result<Output>>;

constexpr std::string_view kKept = "Uncommitted changes are kept; \"commit\" applies them, \"discard\" drops them.";
constexpr std::string_view kPlugin = "plugin ";

json::array tree_of(const ConfigNode& node) {
    json::array commands;
    for (const auto& entry : node.entries()) {
        json::object command{{"line", entry.line()}};
        if (entry.opens_node()) command["commands"] = tree_of(entry.children());
        commands.push_back(std::move(command));
    }
    return commands;
}

Output configuration(const ConfigNode& root) {
    Output output;
    output.data = json::object{{"commands", tree_of(root)}};
    output.text = print_config(root);
    if (output.text.empty()) output.text = "! the configuration is empty";
    return output;
}

Outcome configure(Session& session, CommandCall) {
    session.configuring = true;
    session.path.clear();
    co_return Output();
}

Outcome leave_node(ConfigManager& config, Session& session, bool all) {
    if (!all && !session.path.empty()) {
        session.path.pop_back();
        co_return Output();
    }
    session.configuring = false;
    session.path.clear();
    co_return config.has_changes(session.name) ? said(std::string(kKept)) : Output();
}

Outcome leave_session(ConfigManager& config, Session& session) {
    if (config.has_changes(session.name)) {
        co_return fail(Code::kFailedPrecondition,
                       "there are uncommitted changes; \"commit\" or \"discard\" them, or leave with \"logout\"");
    }
    session.left = true;
    co_return Output();
}

Outcome log_out(ConfigManager& config, Session& session) {
    session.left = true;
    const bool lost = config.has_changes(session.name);
    config.discard(session.name);
    if (lost) co_return fail(Code::kAborted, "uncommitted changes were dropped; \"commit\" applies them");
    co_return Output();
}

Outcome discard(ConfigManager& config, Session& session, bool leave) {
    config.discard(session.name);
    session.path.clear();
    if (leave) session.configuring = false;
    co_return Output();
}

Outcome write_memory(ConfigManager& config) {
    NETT_CO_TRY(config.save());
    co_return said(fmt::format("Saved to {}.", config.path()));
}

Outcome show_candidate(ConfigManager& config, Session& session) {
    co_return configuration(config.has_candidate(session.name) ? config.candidate(session.name) : config.running());
}

Outcome show_running(ConfigManager& config) {
    co_return configuration(config.running());
}

// "ra" and "plugin" both take the entry "plugin ra"; "log" takes "log level debug".
bool is_in_section(const ConfigEntry& entry, std::string_view section) {
    std::string_view line = entry.line();
    const auto begins = [&](std::string_view text) {
        return text.starts_with(section) && (text.size() == section.size() || text[section.size()] == ' ');
    };
    if (begins(line)) return true;
    if (!line.starts_with(kPlugin)) return false;
    line.remove_prefix(kPlugin.size());
    return begins(line);
}

Outcome show_section(ConfigManager& config, CommandCall call) {
    ConfigNode section;
    for (const auto& entry : config.running().entries()) {
        if (is_in_section(entry, call.arg("section"))) section.entries().push_back(entry);
    }
    if (section.empty()) {
        co_return fail(Code::kNotFound, "nothing is configured as \"{}\"; there are: {}", call.arg("section"),
                       fmt::join(configuration_sections(config.running()), ", "));
    }
    co_return configuration(section);
}

}  // namespace

Output said(std::string text) {
    Output output;
    output.data = json::object{{"message", text}};
    output.text = std::move(text);
    return output;
}

ShellCommand shell_command(std::string_view pattern, std::string_view help, std::vector<TokenHelp> tokens, Role role,
                           Where where, std::function<Awaitable<Result<Output>>(Session&, CommandCall)> run) {
    ShellCommand made;
    made.pattern = Pattern::compile(pattern, tokens, help).value();
    made.role = role;
    made.in_exec = where != Where::kConfig;
    made.in_config = where != Where::kExec;
    made.run = std::move(run);
    return made;
}

std::vector<std::string> configuration_sections(const ConfigNode& root) {
    std::vector<std::string> out;
    for (const auto& entry : root.entries()) {
        std::string_view line = entry.line();
        if (line.starts_with(kPlugin)) line.remove_prefix(kPlugin.size());
        std::string name(line.substr(0, line.find(' ')));
        if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
    }
    return out;
}

std::vector<ShellCommand> built_in_commands(ConfigManager& config) {
    auto* const c = &config;
    std::vector<ShellCommand> list;
    const std::vector<TokenHelp> tokens{{"show", "Show state and configuration"},
                                        {"section", "A plugin, or the first words of a line"},
                                        {"terminal", "By commands"},
                                        {"write", "Save or print the running configuration"}};
    const auto add = [&](std::string_view pattern, std::string_view help, Role role, Where where, auto run) {
        list.push_back(shell_command(pattern, help, tokens, role, where, std::move(run)));
    };
    using S = Session&;
    using A = CommandCall;
    const auto admin = Role::kAdmin;
    const auto viewer = Role::kViewer;
    add("configure terminal", "Change the configuration", admin, Where::kExec,
        [](S s, A a) { return configure(s, std::move(a)); });
    for (const auto* word : {"exit", "quit"}) {
        add(word, "Leave the shell", viewer, Where::kExec, [c](S s, A) { return leave_session(*c, s); });
        add(word, "Leave this node", viewer, Where::kConfig, [c](S s, A) { return leave_node(*c, s, false); });
    }
    add("end", "Leave the configuration", viewer, Where::kConfig, [c](S s, A) { return leave_node(*c, s, true); });
    add("logout", "Leave the shell and drop uncommitted changes", viewer, Where::kBoth,
        [c](S s, A) { return log_out(*c, s); });
    add("discard", "Drop uncommitted changes", admin, Where::kBoth, [c](S s, A) { return discard(*c, s, false); });
    add("abort", "Drop uncommitted changes and leave the configuration", admin, Where::kConfig,
        [c](S s, A) { return discard(*c, s, true); });
    for (const auto* words : {"write", "write memory"}) {
        add(words, "Save the running configuration to the agent's file", admin, Where::kBoth,
            [c](S, A) { return write_memory(*c); });
    }
    add("write terminal", "The configuration in force", viewer, Where::kBoth, [c](S, A) { return show_running(*c); });
    add("show running-config", "The configuration in force", viewer, Where::kBoth,
        [c](S, A) { return show_running(*c); });
    add("show running-config {section:word:@configuration-sections}", "One section of the configuration in force",
        viewer, Where::kBoth, [c](S, A a) { return show_section(*c, std::move(a)); });
    add("show candidate-config", "The configuration with uncommitted changes", viewer, Where::kBoth,
        [c](S s, A) { return show_candidate(*c, s); });
    return list;
}

}  // namespace nett
