#include "agent/withdraw.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <boost/asio/executor_work_guard.hpp>

#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"
#include "agent/core/host/root_commands.hpp"
#include "agent/frr/frr.hpp"
#include "agent/net/net.hpp"

namespace nett {

namespace {

// bgpd answers within 10 ms; one that does not has no route of ours either, or is about to be restarted.
constexpr std::chrono::seconds kWithdrawDeadline{3};

Cleanup cleanup_of(const Setup& setup) {
    Cleanup all;
    for (const auto& plugin : setup.plugins.plugins) {
        const ConfigEntry* node = setup.config.root.find(fmt::format("plugin {}", plugin.descriptor->name));
        if (node == nullptr || plugin.cleanup == nullptr) continue;
        Cleanup one;
        plugin.cleanup(node->children(), one);
        all.addresses.insert(all.addresses.end(), one.addresses.begin(), one.addresses.end());
        all.entries.insert(all.entries.end(), one.entries.begin(), one.entries.end());
    }
    return all;
}

bool remove_addresses(asio::io_context& loop, const Cleanup& cleanup) {
    auto net = make_net(loop.get_executor());
    if (!net) {
        std::fprintf(stderr, "nettd: rtnetlink: %s\n", net.error().to_string().c_str());
        return false;
    }
    bool done = true;
    for (const auto& [interface, address] : cleanup.addresses) {
        auto removed = (*net)->remove_address(interface, address);
        const std::string text = fmt::format("{} on {}", address.to_string(), interface);
        if (removed) {
            std::printf("%s is gone\n", text.c_str());
        } else {
            std::fprintf(stderr, "nettd: %s: %s\n", text.c_str(), removed.error().to_string().c_str());
            done = false;
        }
    }
    return done;
}

bool close_gates(asio::io_context& loop, const FrrTargets& targets, const Cleanup& cleanup) {
    if (cleanup.entries.empty()) return true;
    const RealClock clock;
    LoopEventBus events(loop.get_executor(), clock);
    LoopHealthRegistry health(loop.get_executor(), clock, events);
    auto frr = make_frr(loop.get_executor(), clock, events, health,
                        {targets.vtysh_backend,
                         targets.zebra,
                         targets.bgpd,
                         targets.vtysh_path,
                         {"--vty_socket", targets.vtysh_socket_directory}});
    frr->declare_prefix_list("withdraw", cleanup.entries);
    const auto keep = asio::make_work_guard(loop);  // the reconciler's worker posts its results
    const auto deadline = clock.steady_now() + kWithdrawDeadline;
    while (clock.steady_now() < deadline && !frr->status(FrrDaemon::kBgpd).in_sync)
        loop.run_one_for(std::chrono::milliseconds(100));
    const FrrDaemonStatus bgpd = frr->status(FrrDaemon::kBgpd);
    for (const auto& entry : cleanup.entries) {
        const std::string text = fmt::format("prefix-list {} seq {}", entry.list, entry.sequence);
        if (bgpd.in_sync) {
            std::printf("%s denies %s\n", text.c_str(), entry.prefix.to_string().c_str());
        } else {
            std::fprintf(stderr, "nettd: %s: bgpd does not take it: %s\n", text.c_str(), bgpd.error.c_str());
        }
    }
    frr->stop();
    return bgpd.in_sync;
}

}  // namespace

int withdraw(const Setup& setup) {
    const Cleanup cleanup = cleanup_of(setup);
    asio::io_context loop{1};
    // The address first: it needs nobody's help.
    const bool removed = remove_addresses(loop, cleanup);
    const bool closed = close_gates(loop, read_settings(setup.config.root).frr, cleanup);
    return removed && closed ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace nett
