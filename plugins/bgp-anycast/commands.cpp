#include "plugins/bgp-anycast/commands.hpp"

namespace nett::anycast {
namespace {

tl::unexpected<Error> not_running() {
    return fail(Code::kFailedPrecondition, "plugin bgp-anycast is not running; see \"show plugins\"");
}

OpCommand shown(Service& service, std::string pattern, std::string help, Output (Service::*make)() const) {
    OpCommand command{std::move(pattern), std::move(help), {{"anycast", "The anycast address"}}};
    command.run = [&service, make](CommandCall) -> Awaitable<Result<Output>> {
        if (!service.running()) co_return not_running();
        co_return (service.*make)();
    };
    return command;
}

OpCommand mode_command(Service& service, const char* word, std::string help, Mode mode, bool with_reason) {
    OpCommand command{fmt::format("anycast {}{}", word, with_reason ? " {reason:text}" : ""),
                      help,
                      {{"anycast", "The anycast address"}, {word, help}, {"reason", "Why, for the others"}}};
    command.role = Role::kOperator;
    command.run = [&service, mode, with_reason](CommandCall call) -> Awaitable<Result<Output>> {
        if (!service.running()) co_return not_running();
        std::string note = with_reason ? call.arg("reason") : std::string();
        auto set = co_await service.set_mode(mode, std::move(note), call.actor);
        if (!set) co_return fail(std::move(set.error()));
        co_return service.show();
    };
    return command;
}

}  // namespace

std::vector<OpCommand> commands_of(Service& service) {
    std::vector<OpCommand> commands;
    commands.push_back(
        shown(service, "show anycast", "Whether the anycast address is announced, and why", &Service::show));
    commands.push_back(
        shown(service, "show anycast history", "When it was announced and withdrawn, and why", &Service::show_history));
    OpCommand config{"show anycast frr-config",
                     "FRR configuration for the announcement, and what the running one lacks"};
    config.run = [&service](CommandCall) -> Awaitable<Result<Output>> {
        if (!service.running()) co_return not_running();
        co_return co_await service.show_frr_config();
    };
    commands.push_back(std::move(config));
    for (bool with_reason : {false, true}) {
        commands.push_back(mode_command(service, "drain", "Announce it less preferred, until \"anycast resume\"",
                                        Mode::kDrain, with_reason));
        commands.push_back(mode_command(service, "maintenance", "Drain, then withdraw it, until \"anycast resume\"",
                                        Mode::kMaintenance, with_reason));
    }
    commands.push_back(
        mode_command(service, "resume", "End drain or maintenance: health alone decides", Mode::kActive, false));
    OpCommand check{"anycast check-now", "Run every check now"};
    check.role = Role::kOperator;
    check.run = [&service](CommandCall) -> Awaitable<Result<Output>> {
        if (!service.running()) co_return not_running();
        co_await service.check_now();
        co_return service.show();
    };
    commands.push_back(std::move(check));
    return commands;
}

}  // namespace nett::anycast
