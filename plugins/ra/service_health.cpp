// What the service looks at besides its ports, and what it reports.
#include "plugins/ra/service.hpp"

#include <algorithm>

namespace nett::ra {
namespace {

constexpr const char* kForwardingAll = "/proc/sys/net/ipv6/conf/all/forwarding";

}  // namespace

// What cannot be read (no bgpd here) is as if there were nothing.
Awaitable<void> Service::survey(std::optional<Prefix6> aggregate) {
    BgpView view;
    auto summary = co_await host_.frr.show_json("show bgp summary");
    if (summary) {
        if (auto peers = parse_peers(*summary)) view.neighbours = std::move(*peers);
    }
    if (!view.neighbours.empty()) {
        // Without an answer they are in no group, which is the cautious side.
        auto groups = co_await host_.frr.show_json("show bgp peer-group");
        if (groups) static_cast<void>(parse_groups(*groups, view.neighbours));
    }
    if (summary && aggregate) {
        auto routes = co_await host_.frr.show_json(learned_command(*aggregate));
        if (routes) {
            if (auto learned = parse_learned(*routes)) view.learned = std::move(*learned);
        }
    }
    bgp_ = std::move(view);
    surveyed_ = aggregate;
    surveyed_at_ = host_.clock.steady_now();
    check_forwarding();
}

// Per link the kernel looks at that link's own setting; "all" only sets them when it is written.
void Service::check_forwarding() {
    not_forwarding_.clear();
    auto off = [&](const std::string& path) {
        auto text = files_(path);
        return text && !text->empty() && text->front() == '0';
    };
    if (off(kForwardingAll)) {
        not_forwarding_ = "net.ipv6.conf.all.forwarding";
        return;
    }
    for (const auto& [name, record] : records_) {
        if (record.active && off(fmt::format("/proc/sys/net/ipv6/conf/{}/forwarding", name))) {
            not_forwarding_ = fmt::format("net.ipv6.conf.{}.forwarding", name);
            return;
        }
    }
}

void Service::report_health() {
    std::size_t active = 0;
    for (const auto& [name, record] : records_) active += record.active ? 1 : 0;
    HealthCondition ports{"ra", "ports", HealthScope::kInfo, HealthState::kOk, {}, {}, {}};
    ports.message = fmt::format("{} ports", active);
    if (active == 0) {
        ports.state = HealthState::kDegraded;
        ports.message = "no configured port exists on this host";
        ports.remedy = "compare \"ports\" in the configuration with \"ip link\"";
    }
    host_.health.report(std::move(ports));
    report_programming(active);
    report_fabric();
    report_forwarding();
}

void Service::report_programming(std::size_t active) {
    FrrDaemonStatus zebra = host_.frr.status(FrrDaemon::kZebra);
    HealthCondition programming{"ra", "programming", HealthScope::kInfo, HealthState::kOk, {}, {}, {}};
    programming.message = fmt::format("{} ports advertise", active);
    const auto& errors = kernel_.errors();
    if (!errors.empty() || !numbering_error_.empty()) {
        programming.state = HealthState::kFailed;
        programming.message = errors.empty() ? numbering_error_ : errors.begin()->second;
        programming.remedy = "see \"show ra\"; nett needs CAP_NET_ADMIN and IPv6 enabled on the ports";
    } else if (!zebra.connected) {
        programming.state = HealthState::kDegraded;
        programming.message = "zebra is not reachable: ports keep what was advertised last, new ones wait";
        programming.remedy = "see \"show health\" of frr/zebra";
    } else if (!zebra.in_sync && !zebra.error.empty()) {
        programming.state = HealthState::kFailed;
        programming.message = "zebra refuses the advertisements: " + zebra.error;
        programming.remedy = "see zebra's log";
    }
    if (programming.state == HealthState::kOk && !kernel_.replaced().empty()) {
        programming.state = HealthState::kDegraded;
        programming.message = fmt::format(
            "{}: its address was replaced by others, and zebra advertises the prefix with lifetimes of its own (30 "
            "days) until nett has programmed it anew",
            fmt::join(kernel_.replaced(), ", "));
        programming.remedy = "none if it lasts for seconds; else see \"show health\" of frr/zebra, or restart zebra";
    }
    host_.health.report(std::move(programming));
}

void Service::report_fabric() {
    HealthCondition fabric{"ra", "fabric", HealthScope::kInfo, HealthState::kOk, {}, {}, {}};
    fabric.message = "no other switch announces this aggregate, no port is the fabric's or a bridge's";
    std::vector<std::string> ports;
    for (const auto& [name, record] : records_) {
        if (record.active) ports.push_back(name);
    }
    auto wrong = unfit_ports(settings_, ports);
    auto found = settings_.aggregate ? overlaps(bgp_, *settings_.aggregate) : std::vector<std::string>();
    if (!found.empty()) {
        fabric.state = HealthState::kFailed;
        fabric.message = found[0];
        fabric.remedy = "change \"aggregate\" on one of the two switches";
    } else if (!wrong.empty()) {
        fabric.state = HealthState::kDegraded;
        fabric.message = wrong[0].second;
        fabric.remedy = fmt::format("exclude it: \"ports …,!{}\"", wrong[0].first);
    }
    host_.health.report(std::move(fabric));
}

void Service::report_forwarding() {
    HealthCondition forwarding{"ra", "forwarding", HealthScope::kInfo, HealthState::kOk, "the kernel forwards IPv6", {},
                               {}};
    if (!not_forwarding_.empty()) {
        forwarding.state = HealthState::kFailed;
        forwarding.message = fmt::format("{} is 0: machines get addresses but reach nothing", not_forwarding_);
        forwarding.remedy = fmt::format("sysctl -w {}=1, and in /etc/sysctl.d to keep it", not_forwarding_);
    }
    host_.health.report(std::move(forwarding));
}

}  // namespace nett::ra
