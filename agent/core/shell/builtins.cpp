// The shell's own commands: modes, the candidate, the running configuration.
#include <ctime>

#include <fmt/chrono.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/core/shell/session.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace json = boost::json;

using Outcome = Awaitable<Result<Output>>;

constexpr std::string_view kKept = "Uncommitted changes are kept; \"commit\" applies them, \"discard\" drops them.";

Output said(std::string text) {
    Output output;
    output.data = json::object{{"message", text}};
    output.text = std::move(text);
    return output;
}

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

json::array texts_of(const std::vector<Diagnostic>& findings) {
    json::array texts;
    for (const auto& finding : findings) texts.emplace_back(finding.to_string());
    return texts;
}

std::string lines_of(const std::vector<Diagnostic>& findings) {
    std::string text;
    for (const auto& finding : findings) text += finding.to_string() + "\n";
    return text;
}

std::string utc(SystemTime time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
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

Outcome commit(ConfigManager& config, Session& session, CommandCall call) {
    auto report = co_await config.commit(session.name, call.actor);
    if (!report) co_return fail(std::move(report.error()));
    Output output;
    output.data = json::object{
        {"changed", report->changed}, {"revision", report->revision}, {"warnings", texts_of(report->warnings)}};
    output.text =
        lines_of(report->warnings) + (report->changed ? fmt::format("Committed as revision {}.", report->revision)
                                                      : std::string("There was nothing to commit."));
    co_return output;
}

Outcome check(ConfigManager& config, Session& session) {
    const auto findings = config.check(session.name);
    Output output;
    output.data = json::object{{"findings", texts_of(findings)}};
    output.text = findings.empty() ? "The candidate is fit to be committed." : lines_of(findings);
    co_return output;
}

Outcome rebase(ConfigManager& config, Session& session) {
    NETT_CO_TRY(config.rebase(session.name));
    co_return Output();
}

Outcome rollback(ConfigManager& config, Session& session, CommandCall call) {
    constexpr std::int64_t kFarthest = 49;
    auto steps = parse_integer(call.arg("steps"), 0, kFarthest);
    if (!steps) co_return fail(std::move(steps.error()));
    NETT_CO_TRY(config.rollback(session.name, static_cast<std::size_t>(*steps)));
    session.path.clear();
    co_return said(config.has_changes(session.name) ? "Loaded into the candidate; see \"show diff\", then \"commit\"."
                                                    : "That is the running configuration.");
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

Outcome show_diff(ConfigManager& config, Session& session) {
    Output output;
    output.text = config.show_diff(session.name);
    json::array lines;
    for (const auto line : split(output.text, '\n')) {
        if (!line.empty()) lines.emplace_back(line);
    }
    if (lines.empty()) output.text = "The candidate is the running configuration.";
    output.data = json::object{{"lines", std::move(lines)}};
    co_return output;
}

Outcome show_commits(ConfigManager& config) {
    Output output;
    output.columns = {{"rollback", "Rollback"}, {"revision", "Revision"}, {"time", "Time"}, {"actor", "By"}};
    json::array rows;
    std::size_t steps = 0;
    for (const auto& record : config.history()) {
        rows.push_back(json::object{
            {"rollback", steps++}, {"revision", record.revision}, {"time", utc(record.time)}, {"actor", record.actor}});
    }
    output.data = std::move(rows);
    co_return output;
}

enum class Where { kExec, kConfig, kBoth };

ShellCommand command(std::string_view pattern, std::string_view help, Role role, Where where,
                     std::function<Awaitable<Result<Output>>(Session&, CommandCall)> run) {
    ShellCommand made;
    made.pattern = Pattern::compile(pattern, {}, help).value();
    made.role = role;
    made.in_exec = where != Where::kConfig;
    made.in_config = where != Where::kExec;
    made.run = std::move(run);
    return made;
}

}  // namespace

std::vector<ShellCommand> built_in_commands(ConfigManager& config) {
    auto* const c = &config;
    std::vector<ShellCommand> list;
    const auto add = [&](std::string_view pattern, std::string_view help, Role role, Where where, auto run) {
        list.push_back(command(pattern, help, role, where, std::move(run)));
    };
    using S = Session&;
    using A = CommandCall;
    const auto admin = Role::kAdmin;
    const auto viewer = Role::kViewer;
    add("configure terminal", "Change the configuration", admin, Where::kExec,
        [](S s, A a) { return configure(s, std::move(a)); });
    add("exit", "Leave the shell", viewer, Where::kExec, [c](S s, A) { return leave_session(*c, s); });
    add("exit", "Leave this node", viewer, Where::kConfig, [c](S s, A) { return leave_node(*c, s, false); });
    add("end", "Leave the configuration", viewer, Where::kConfig, [c](S s, A) { return leave_node(*c, s, true); });
    add("logout", "Leave the shell and drop uncommitted changes", viewer, Where::kBoth,
        [c](S s, A) { return log_out(*c, s); });
    add("commit", "Put the candidate in force", admin, Where::kBoth,
        [c](S s, A a) { return commit(*c, s, std::move(a)); });
    add("commit check", "Check the candidate without putting it in force", admin, Where::kBoth,
        [c](S s, A) { return check(*c, s); });
    add("discard", "Drop uncommitted changes", admin, Where::kBoth, [c](S s, A) { return discard(*c, s, false); });
    add("abort", "Drop uncommitted changes and leave the configuration", admin, Where::kConfig,
        [c](S s, A) { return discard(*c, s, true); });
    add("rebase", "Put uncommitted changes on top of somebody else's commit", admin, Where::kBoth,
        [c](S s, A) { return rebase(*c, s); });
    add("rollback {steps:int:0..49}", "Load an earlier configuration into the candidate", admin, Where::kBoth,
        [c](S s, A a) { return rollback(*c, s, std::move(a)); });
    add("write memory", "Save the running configuration to the file", admin, Where::kBoth,
        [c](S, A) { return write_memory(*c); });
    add("show running-config", "The configuration in force", viewer, Where::kBoth,
        [c](S, A) { return show_running(*c); });
    add("show candidate-config", "The configuration with uncommitted changes", viewer, Where::kBoth,
        [c](S s, A) { return show_candidate(*c, s); });
    add("show diff", "Uncommitted changes", viewer, Where::kBoth, [c](S s, A) { return show_diff(*c, s); });
    add("show commits", "Configurations that \"rollback\" can load", viewer, Where::kBoth,
        [c](S, A) { return show_commits(*c); });
    return list;
}

}  // namespace nett
