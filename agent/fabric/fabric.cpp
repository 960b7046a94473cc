#include "agent/fabric/fabric.hpp"

#include <algorithm>
#include <random>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett {

namespace {

constexpr std::chrono::seconds kSilenceCheck{5};

std::string random_run() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}", random(), random());
}

Result<void> check_report(const std::string& origin, const FabricReport& report) {
    if (report.prefixes.size() > kMaxPrefixesPerSwitch) {
        return fail(Code::kInvalidArgument, "a switch reports at most {} prefixes", kMaxPrefixesPerSwitch);
    }
    const auto own = fmt::format("{}/", switch_of(origin));
    const auto check_owner = [&](const std::string& port) -> Result<void> {
        if (port.starts_with(own) && port.size() > own.size()) return {};
        return fail(Code::kPermissionDenied,
                    "{} cannot report port {}; its hostname has to be {}, as in its certificate", origin, port,
                    switch_of(origin));
    };
    for (const auto& prefix : report.prefixes) NETT_TRY(check_owner(prefix.port));
    for (const auto& port : report.ports) NETT_TRY(check_owner(port.port));
    return check_ports(report.ports);
}

}  // namespace

Fabric::Fabric(FabricDependencies dependencies)
    : d_(std::move(dependencies)),
      view_(d_.events, d_.health, d_.detector.clock),
      reported_({d_.detector.loop, d_.detector.store, d_.health, view_, d_.detector.clock}),
      machines_(d_.events, d_.detector.store, view_),
      detector_(d_.detector, settings_.stable_time,
                [this](std::vector<PortPrefix> prefixes, std::vector<ReportedPort> ports) {
                    on_own(std::move(prefixes), std::move(ports));
                }),
      run_(random_run()),
      silence_(d_.detector.loop) {}

void Fabric::on_own(std::vector<PortPrefix> prefixes, std::vector<ReportedPort> ports) {
    view_.replace(d_.detector.hostname, prefixes, true);
    ++generation_;
    for (const auto& [endpoint, reporter] : reporters_) reporter->set(generation_, prefixes, ports);
    own_ = std::move(prefixes);
    own_reported_ = std::move(ports);
}

Awaitable<void> Fabric::drop_reporters(const FabricSettings& next) {
    std::vector<std::shared_ptr<FabricReporter>> leaving;
    for (auto entry = reporters_.begin(); entry != reporters_.end();) {
        const auto is = [&](const auto& upstream) { return upstream.endpoint == entry->first; };
        const auto now = std::find_if(settings_.upstreams.begin(), settings_.upstreams.end(), is);
        const auto then = std::find_if(next.upstreams.begin(), next.upstreams.end(), is);
        const bool stays = next.identity == settings_.identity && then != next.upstreams.end() &&
                           now != settings_.upstreams.end() && *now == *then;
        if (stays) {
            ++entry;
            continue;
        }
        leaving.push_back(entry->second);
        entry = reporters_.erase(entry);
    }
    for (const auto& reporter : leaving) {
        auto stopped = reporter->stop();
        co_await std::move(stopped);
        d_.health.forget("fabric");  // what stays is reported again with its next report
    }
}

Awaitable<void> Fabric::apply(FabricSettings next) {
    auto dropped = drop_reporters(next);
    co_await std::move(dropped);
    settings_ = std::move(next);
    detector_.set_stable_time(settings_.stable_time);
    for (const auto& upstream : settings_.upstreams) {
        auto& reporter = reporters_[upstream.endpoint];
        if (reporter) continue;
        reporter = std::make_shared<FabricReporter>(d_.detector.loop, d_.detector.clock, d_.health, upstream.endpoint,
                                                    run_, d_.make_uplink(upstream));
        if (own_) reporter->set(generation_, *own_, own_reported_);
        reporter->start();
    }
    if (std::exchange(started_, true)) co_return;
    detector_.start();
    asio::co_spawn(d_.detector.loop, watch_silence(), asio::detached);
}

Awaitable<void> Fabric::watch_silence() {
    while (!stopping_) {
        silence_.expires_after(kSilenceCheck);
        boost::system::error_code cancelled;
        co_await silence_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        if (cancelled) co_return;
        view_.check();
    }
}

Awaitable<void> Fabric::stop() {
    stopping_ = true;
    detector_.stop();
    silence_.cancel();
    FabricSettings nobody;
    auto dropped = drop_reporters(nobody);
    co_await std::move(dropped);
    auto ended = reported_.stop();
    co_await std::move(ended);
}

Result<bool> Fabric::receive(const std::string& origin, FabricReport report) {
    NETT_TRY(check_report(origin, report));
    auto& heard = heard_[origin];
    if (report.full) {
        heard = {report.run, report.generation};
        view_.replace(origin, std::move(report.prefixes));
        reported_.replace(std::string(switch_of(origin)), std::move(report.ports));
        return false;
    }
    if (heard.run != report.run || heard.generation != report.generation) return true;
    view_.heard(origin);
    reported_.retry();
    return false;
}

std::vector<UplinkStatus> Fabric::uplinks() const {
    std::vector<UplinkStatus> out;
    for (const auto& [endpoint, reporter] : reporters_) out.push_back(reporter->status());
    return out;
}

Result<std::vector<OwnPort>> Fabric::own_ports() const {
    const auto ports = read_boot_ports(d_.detector.store);
    if (!ports) return fail(ports.error());
    std::vector<OwnPort> out;
    for (const auto& port : *ports) {
        const auto link = d_.detector.net.link(port.interface);
        OwnPort own{d_.detector.hostname + "/" + port.interface, port.prefix, "absent", "", {}};
        if (link) {
            own.link = link->up && link->carrier ? "up" : "down";
            own.mac = link->mac;
            const auto neighbours = d_.detector.net.neighbours(port.interface);
            for (const auto& neighbour : neighbours ? *neighbours : std::vector<Neighbour>()) {
                if (!neighbour.address.is_multicast()) own.neighbours.push_back(neighbour);
            }
        }
        out.push_back(std::move(own));
    }
    return out;
}

Result<std::vector<PortRow>> Fabric::ports() const {
    const auto own = own_ports();
    if (!own) return fail(own.error());
    const auto machines = known_machines(d_.detector.store);
    if (!machines) return fail(machines.error());
    const auto reported = read_reported_ports(d_.detector.store);
    if (!reported) return fail(reported.error());
    return port_table(*own, *machines, view_.origins(), *reported);
}

}  // namespace nett
