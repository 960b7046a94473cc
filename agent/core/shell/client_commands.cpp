// Commands about the client's own files and terminal: the agent says what is to be done, the client does it.
#include <boost/json/object.hpp>

#include "agent/core/shell/session.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

using Outcome = Awaitable<Result<Output>>;
using Kind = ClientAction::Kind;

constexpr std::string_view kStartup = "startup-config";
constexpr std::int64_t kLongestScreen = 512;

Outcome save_backup(Session& session, CommandCall call, bool artifacts) {
    session.action = ClientAction{Kind::kSaveBackup, call.arg("file"), artifacts};
    co_return Output();
}

Outcome save_support(Session& session, CommandCall call) {
    session.action = ClientAction{Kind::kSaveTechSupport, call.arg("file")};
    co_return Output();
}

Outcome set_length(Session& session, CommandCall call) {
    auto length = parse_integer(call.arg("lines"), 0, kLongestScreen);
    if (!length) co_return fail(std::move(length.error()));
    session.action = ClientAction{Kind::kTerminalLength, {}, true, static_cast<unsigned>(*length)};
    co_return Output();
}

Outcome end_monitor(Session& session) {
    session.action = ClientAction{Kind::kMonitor};
    co_return Output();
}

Outcome save_to_startup(ConfigManager& config) {
    NETT_CO_TRY(config.save());
    co_return said(fmt::format("Saved to {}.", config.path()));
}

// "copy running-config start" means the file of the agent, as everywhere; "./start" would be a file here.
Outcome copy_running(ConfigManager& config, Session& session, CommandCall call) {
    const auto& file = call.arg("file");
    if (kStartup.starts_with(file)) {
        auto saved = save_to_startup(config);
        co_return co_await std::move(saved);
    }
    session.action = ClientAction{Kind::kSaveOutput, file};
    Output output;
    output.text = print_config(config.running());
    if (output.text.empty()) output.text = "! the configuration is empty\n";
    output.data = boost::json::value(output.text);
    co_return output;
}

Outcome load_startup(ConfigManager& config, Session& session) {
    NETT_CO_TRY(config.load_file(session.name));
    session.path.clear();
    co_return said(config.has_changes(session.name) ? "Loaded into the candidate; see \"show diff\", then \"commit\"."
                                                    : "That is the running configuration.");
}

}  // namespace

std::vector<ShellCommand> client_commands(ConfigManager& config) {
    auto* const c = &config;
    std::vector<ShellCommand> list;
    const std::vector<TokenHelp> tokens{{"file", "A file on the machine where nettsh runs"},
                                        {"without-artifacts", "Without kernels, initramfs files and images"},
                                        {"copy", "Copy a configuration"},
                                        {"running-config", "The configuration in force"},
                                        {"startup-config", "The agent's configuration file"},
                                        {"candidate-config", "What \"commit\" would put in force"},
                                        {"terminal", "What this session prints"},
                                        {"no", "Do no longer"},
                                        {"monitor", "Events as they happen"},
                                        {"length", "When the pager takes over"},
                                        {"lines", "Lines of a screen; 0: no pager"}};
    const auto add = [&](std::string_view pattern, std::string_view help, Role role, auto run) {
        list.push_back(shell_command(pattern, help, tokens, role, Where::kExec, std::move(run)));
    };
    using S = Session&;
    using A = CommandCall;
    add("backup {file:word}", "Save configuration, state, key and artifacts for nett-restore", Role::kAdmin,
        [](S s, A a) { return save_backup(s, std::move(a), true); });
    add("backup {file:word} without-artifacts", "Save configuration, state and key for nett-restore", Role::kAdmin,
        [](S s, A a) { return save_backup(s, std::move(a), false); });
    add("tech-support {file:word}", "Save what every \"show\" command says as one archive, without secrets",
        Role::kOperator, [](S s, A a) { return save_support(s, std::move(a)); });
    add("copy running-config {file:word}", "Save the running configuration to a file", Role::kAdmin,
        [c](S s, A a) { return copy_running(*c, s, std::move(a)); });
    add("copy running-config startup-config", "Make the running configuration that of the next start", Role::kAdmin,
        [c](S, A) { return save_to_startup(*c); });
    add("copy startup-config candidate-config", "Load the configuration file into the candidate", Role::kAdmin,
        [c](S s, A) { return load_startup(*c, s); });
    add(fmt::format("terminal length {{lines:int:0..{}}}", kLongestScreen), "Lines of a screen, for the pager",
        Role::kViewer, [](S s, A a) { return set_length(s, std::move(a)); });
    add("no terminal monitor", "Print no more events", Role::kViewer, [](S s, A) { return end_monitor(s); });
    return list;
}

}  // namespace nett
