#include "agent/fabric/detector.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>

#include "agent/sdk/log.hpp"
#include "agent/sdk/port_records.hpp"

namespace nett {

namespace {
const Logger kLog("fabric");
}

FabricDetector::FabricDetector(DetectorDependencies dependencies, std::chrono::seconds stable_time, Handler on_change)
    : d_(std::move(dependencies)),
      tracker_(stable_time),
      stable_time_(stable_time),
      on_change_(std::move(on_change)),
      timer_(d_.loop) {}

void FabricDetector::start() {
    *alive_ = true;
    records_ = d_.store.watch(std::string(kOwnPortKind), [this](const Change&) { follow_ports_soon(); });
    links_ = d_.net.observe_links([this] { follow_ports(); });
    routes_ = d_.routes.observe([this](const std::vector<PortRoute>& routes) { on_routes(routes); });
    follow_ports();
    // Nothing to watch is an answer too.
    if (const auto ports = read_boot_ports(d_.store); ports && ports->empty()) on_routes({});
}

void FabricDetector::stop() {
    *alive_ = false;
    records_.reset();
    links_.reset();
    routes_.reset();
    timer_.cancel();
}

void FabricDetector::set_stable_time(std::chrono::seconds stable_time) {
    stable_time_ = stable_time;
    tracker_.set_stable_time(stable_time);
    update(tracker_.advance(d_.clock.steady_now()));
}

// A commit of 512 ports is 512 changes and one reading.
void FabricDetector::follow_ports_soon() {
    if (std::exchange(following_, true)) return;
    asio::post(d_.loop, [this, weak = std::weak_ptr<bool>(alive_)] {
        if (weak.expired()) return;
        following_ = false;
        if (*alive_) follow_ports();
    });
}

void FabricDetector::follow_ports() {
    const auto ports = read_boot_ports(d_.store);
    if (!ports) {
        kLog.warning("cannot read the ports; the next change tries again", {{"error", ports.error()}});
        return;
    }
    std::set<std::string> names;
    std::vector<ReportedPort> reported;
    for (const auto& port : *ports) {
        names.insert(port.interface);
        if (reported.size() < kMaxPortsPerSwitch) reported.push_back({d_.hostname + "/" + port.interface, port.prefix});
    }
    d_.routes.watch(std::move(names));
    if (std::exchange(ports_, std::move(reported)) != ports_ && settled_) tell();
}

void FabricDetector::on_routes(const std::vector<PortRoute>& routes) {
    const auto now = d_.clock.steady_now();
    if (!settles_) settles_ = now + stable_time_;
    update(tracker_.observe(now, machine_routes(routes)));
}

void FabricDetector::update(bool changed) {
    const auto now = d_.clock.steady_now();
    const bool settles_now = !settled_ && settles_ && now >= *settles_;
    settled_ |= settles_now;
    if (settles_now || (settled_ && changed)) tell();
    arm();
}

void FabricDetector::tell() {
    std::vector<PortPrefix> prefixes;
    for (const auto& route : tracker_.stable()) {
        if (prefixes.size() >= kMaxPrefixesPerSwitch) break;
        prefixes.push_back({d_.hostname + "/" + route.interface, route.prefix, route.next_hop});
    }
    on_change_(std::move(prefixes), ports_);
}

void FabricDetector::arm() {
    auto next = tracker_.next_deadline();
    if (!settled_ && settles_ && (!next || *settles_ < *next)) next = settles_;
    if (!next) return;
    timer_.expires_after(std::max(*next - d_.clock.steady_now(), SteadyTime::duration::zero()));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) update(tracker_.advance(d_.clock.steady_now()));
    });
}

}  // namespace nett
