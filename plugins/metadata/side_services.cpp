#include "plugins/metadata/side_services.hpp"

#include <utility>

namespace nett::metadata {

SideServices::SideServices(const Host& host, RequestHandler machines)
    : host_(host),
      homelab_(host, std::move(machines)),
      media_(host),
      netbox_({host.loop, host.store, host.events, host.clock}, make_https_client(host.loop)) {}

Result<void> SideServices::start() {
    NETT_TRY(media_.start());
    return netbox_.start();
}

Result<SideServices::Prepared> SideServices::prepare(SideSettings settings, const TlsFiles& files) {
    auto homelab = homelab_.prepare(std::move(settings.homelab));
    if (!homelab) return fail(std::move(homelab.error()));
    auto media = media_.prepare(std::move(settings.media), files);
    if (!media) return fail(std::move(media.error()));
    return Prepared{std::move(*homelab), std::move(*media), std::move(settings.netbox)};
}

void SideServices::adopt(Prepared prepared) {
    homelab_.adopt(std::move(prepared.homelab));
    media_.adopt(std::move(prepared.media));
    netbox_.set_settings(std::move(prepared.netbox));
}

Awaitable<void> SideServices::stop(SteadyTime deadline) {
    co_await netbox_.stop();
    co_await homelab_.stop(deadline);
    co_await media_.stop(deadline);
}

void SideServices::report_health() const {
    host_.health.report(homelab_.health());
    host_.health.report(media_.health());
    host_.health.report(netbox_.health());
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
    add(commands, "show media", "Images for BMCs: which job may fetch what, and how much of it was fetched",
        [](const SideServices& side) { return side.media().show(); });
    add(commands, "show netbox", "Production prefixes out of NetBox: what it said last, and when",
        [](const SideServices& side) { return side.netbox().show(); });
    return commands;
}

}  // namespace nett::metadata
