#include "plugins/metadata/side_services.hpp"

#include <utility>

namespace nett::metadata {

SideServices::SideServices(const Host& host, RequestHandler machines)
    : host_(host), homelab_(host, std::move(machines)) {}

Result<SideServices::Prepared> SideServices::prepare(SideSettings settings, const TlsFiles&) {
    auto homelab = homelab_.prepare(std::move(settings.homelab));
    if (!homelab) return fail(std::move(homelab.error()));
    return Prepared{std::move(*homelab)};
}

void SideServices::adopt(Prepared prepared) {
    homelab_.adopt(std::move(prepared.homelab));
}

Awaitable<void> SideServices::stop(SteadyTime deadline) {
    co_await homelab_.stop(deadline);
}

void SideServices::report_health() const {
    host_.health.report(homelab_.health());
}

std::vector<OpCommand> side_op_commands(std::function<const SideServices*()> services) {
    const auto add = [&services](std::vector<OpCommand>& commands, std::string pattern, std::string help,
                                 std::function<Result<Output>(const SideServices&)> show) {
        OpCommand command;
        command.pattern = std::move(pattern);
        command.help = std::move(help);
        command.run = [services, show = std::move(show)](CommandCall) -> Awaitable<Result<Output>> {
            const auto* running = services();
            if (running == nullptr) co_return fail(Code::kFailedPrecondition, "the metadata plugin is not running");
            co_return show(*running);
        };
        commands.push_back(std::move(command));
    };
    std::vector<OpCommand> commands;
    add(commands, "show homelab", "The homelab listener: its address, its tenant, requests by result",
        [](const SideServices& side) -> Result<Output> { return side.homelab().show(); });
    return commands;
}

}  // namespace nett::metadata
