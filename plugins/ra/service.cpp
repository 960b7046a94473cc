#include "plugins/ra/service.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/port_records.hpp"

namespace nett::ra {
namespace {

const Logger kLog("ra");
constexpr const char* kOwner = "ra";

}  // namespace

std::optional<std::string> read_kernel_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
}

Service::Service(const Host& host, KernelFileReader files)
    : host_(host),
      files_(std::move(files)),
      kernel_(host.net, host.clock),
      idle_(host.loop),
      tick_(host.loop),
      pause_(host.loop) {}

Awaitable<void> Service::lock() {
    while (busy_) {
        idle_.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code ignored;
        co_await idle_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    busy_ = true;
}

void Service::unlock() {
    busy_ = false;
    idle_.cancel();
}

Awaitable<Result<void>> Service::apply(Settings settings) {
    co_await lock();
    auto result = co_await apply_now(std::move(settings), Cause::kCommit);
    unlock();
    co_return result;
}

Awaitable<Result<void>> Service::apply_now(Settings settings, Cause cause) {
    // What bgpd said a moment ago about the same aggregate is good enough.
    bool fresh =
        surveyed_at_ && surveyed_ == settings.aggregate && host_.clock.steady_now() - *surveyed_at_ < kSurveyInterval;
    if (cause == Cause::kCommit && !fresh) co_await survey(settings.aggregate);
    auto numbered = co_await number_ports(settings, cause);
    if (!numbered) co_return fail(std::move(numbered.error()));
    PortRecords before = std::exchange(records_, std::move(*numbered));
    settings_ = std::move(settings);
    declare(before);
    publish_changes(before);
    report_health();
    co_return Result<void>{};
}

Result<PortRecords> Service::load() const {
    auto stored = host_.store.list(kOwnPortKind);
    if (!stored) return fail(std::move(stored.error()));
    PortRecords records;
    for (const Record& record : *stored) {
        auto parsed = parse_port_record(record.value);
        if (!parsed) return fail(std::move(parsed.error()).in("port " + record.key));
        records.emplace(record.key, *parsed);
    }
    return records;
}

// Links that exist, and ports that are known: zebra keeps the advertisement of a port that went away ready for its
// return.
std::vector<std::string> Service::candidates(const PortRecords& known) const {
    std::vector<std::string> names;
    for (const Link& link : host_.net.links()) names.push_back(link.name);
    for (const auto& [name, record] : known) names.push_back(name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

// A port or an aggregate that was in force before stays, with a health condition: a switch that restarts must not lose
// its machines because of what others announce.
Result<std::vector<std::string>> Service::usable_ports(const Settings& settings, const PortRecords& known,
                                                       Cause cause) const {
    auto in_force = [&](const std::string& port) {
        auto it = known.find(port);
        return it != known.end() && it->second.active;
    };
    auto ports = matching_ports(settings, candidates(known));
    for (auto& [port, reason] : unfit_ports(settings, ports)) {
        if (in_force(port)) continue;
        if (cause == Cause::kCommit) return fail(Code::kFailedPrecondition, "{}", reason);
        std::erase(ports, port);
    }
    bool known_aggregate = std::any_of(known.begin(), known.end(), [&](const auto& entry) {
        return entry.second.active && entry.second.aggregate == settings.aggregate;
    });
    if (cause == Cause::kCommit && settings.aggregate && !known_aggregate) {
        auto found = overlaps(bgp_, *settings.aggregate);
        if (!found.empty()) return fail(Code::kFailedPrecondition, "{}", found[0]);
    }
    return ports;
}

// Ports that cannot be L3 ports of machines, each with the reason and the remedy.
std::vector<std::pair<std::string, std::string>> Service::unfit_ports(const Settings& settings,
                                                                      const std::vector<std::string>& ports) const {
    std::vector<std::pair<std::string, std::string>> found;
    for (const std::string& port : fabric_ports_among(bgp_, settings, ports)) {
        found.emplace_back(port, fmt::format("{} is a port of the fabric (bgpd has a BGP unnumbered neighbour there): "
                                             "hosts would take it for a way out; exclude it, as in \"ports "
                                             "swp1-48,!{}\", or make that neighbour a member of the machines' "
                                             "peer-group {} when a machine peers there",
                                             port, port, settings.machine_group));
    }
    for (const std::string& port : ports) {
        auto link = host_.net.link(port);
        if (!link || link->upper.empty()) continue;
        found.emplace_back(
            port, fmt::format("{} is a port of {}, which takes all its packets, so that no "
                              "machine behind it would get an answer; use \"mode bridge\" with \"ports {}\", or "
                              "exclude it, as in \"ports swp1-48,!{}\"",
                              port, link->upper, link->upper, port));
    }
    return found;
}

Awaitable<Result<void>> Service::commit(const PortRecords& known, const PortRecords& wanted, const char* reason) {
    Transaction transaction;
    transaction.actor = "plugin:ra";
    transaction.reason = reason;
    for (const auto& [name, record] : wanted) {
        auto it = known.find(name);
        if (it == known.end() || it->second != record) {
            transaction.puts.push_back({std::string(kOwnPortKind), name, to_json(record)});
        }
    }
    for (const auto& [name, record] : known) {
        if (!wanted.contains(name)) transaction.deletes.push_back({std::string(kOwnPortKind), name});
    }
    if (transaction.puts.empty() && transaction.deletes.empty()) co_return Result<void>{};
    auto committed = co_await host_.store.commit(std::move(transaction));
    if (!committed) co_return fail(std::move(committed.error()).in("numbering the ports"));
    co_return Result<void>{};
}

Awaitable<Result<PortRecords>> Service::number_ports(const Settings& settings, Cause cause) {
    auto known = load();
    if (!known) co_return fail(std::move(known.error()));
    auto ports = usable_ports(settings, *known, cause);
    if (!ports) co_return fail(std::move(ports.error()));
    auto wanted = allocate(settings, *ports, *known);
    if (!wanted) co_return fail(std::move(wanted.error()));
    // What the last run of the agent had programmed and is no longer wanted is this run's to take away.
    if (records_.empty()) records_ = *known;
    auto committed = co_await commit(*known, *wanted, "ports numbered");
    if (!committed) co_return fail(std::move(committed.error()));
    co_return std::move(*wanted);
}

std::vector<RaInterface> Service::advertisements(const PortRecords& records) const {
    std::vector<RaInterface> interfaces;
    for (const auto& [name, record] : records) {
        if (!record.active && !record.farewell) continue;
        const Advertisement& says = settings_.advertisement_of(name);
        RaInterface interface = says.interface;
        interface.name = name;
        interface.prefixes = {says.lifetimes};
        interface.prefixes[0].prefix = record.prefix;
        interfaces.push_back(std::move(interface));
    }
    return interfaces;
}

void Service::declare(const PortRecords& before) {
    kernel_.replace(before, records_, settings_);
    auto wanted = advertisements(records_);
    if (declared_ != wanted) {
        // Telling FRR first what was there makes it say goodbye properly to what goes, also after a restart of the
        // agent.
        if (!declared_) host_.frr.declare_ra(kOwner, advertisements(before));
        host_.frr.declare_ra(kOwner, wanted);
        declared_ = std::move(wanted);
    }
    put_kernel_state();
}

void Service::publish_changes(const PortRecords& before) const {
    for (const auto& [name, record] : records_) {
        auto old = before.find(name);
        if (!record.active || (old != before.end() && old->second.active && old->second.prefix == record.prefix))
            continue;
        kLog.info("port numbered", {{"port", name}, {"prefix", record.prefix.to_string()}});
        host_.events.publish({"ra.port",
                              host_.hostname + "/" + name,
                              "has the prefix " + record.prefix.to_string(),
                              {{"prefix", record.prefix.to_string()}},
                              {},
                              0});
    }
}

void Service::run() {
    stopping_ = false;
    running_ = true;
    seen_drift_ = host_.clock.system_now();
    links_ = host_.net.observe_links([this] {
        links_changed_ = true;
        kernel_.links_changed();
        tick_.cancel();
    });
    addresses_ = host_.net.observe_addresses([this](int link) {
        kernel_.addresses_changed(link);
        if (!std::exchange(addresses_changed_, true)) tick_.cancel();
    });
    frr_ = host_.frr.observe([this](FrrDaemon daemon) {
        if (daemon == FrrDaemon::kZebra) on_frr();
    });
    asio::co_spawn(host_.loop, follow(), asio::detached);
}

Awaitable<void> Service::follow() {
    while (!stopping_) {
        bool at_once = links_changed_ && numbering_error_.empty();
        tick_.expires_after(at_once ? std::chrono::milliseconds(0) : addresses_changed_ ? kSettle : kCheckInterval);
        boost::system::error_code ended;
        co_await tick_.async_wait(asio::redirect_error(asio::use_awaitable, ended));
        if (stopping_) break;
        // Cancelled by an event: it and what belongs to it are looked at after kSettle.
        if (ended && addresses_changed_ && !links_changed_) continue;
        addresses_changed_ = false;
        if (std::exchange(links_changed_, false)) {
            co_await follow_links();
        } else {
            put_kernel_state();
        }
        if (!stopping_) co_await repair_replaced();
        if (!stopping_ && (!surveyed_at_ || host_.clock.steady_now() - *surveyed_at_ >= kSurveyInterval)) {
            co_await lock();
            if (!stopping_) co_await survey(settings_.aggregate);
            unlock();
        }
        if (!stopping_) report_health();
    }
    running_ = false;
    idle_.cancel();
}

Awaitable<void> Service::follow_links() {
    co_await lock();
    Result<void> result;
    if (!stopping_) {
        Settings settings = settings_;
        result = co_await apply_now(std::move(settings), Cause::kLinks);
    }
    unlock();
    numbering_error_ = result ? std::string() : result.error().to_string();
    if (result) co_return;
    kLog.warning("cannot follow the links; trying again", {{"error", result.error()}});
    links_changed_ = true;
}

Awaitable<void> Service::stop(bool withdraw) {
    stopping_ = true;
    links_.reset();
    addresses_.reset();
    frr_.reset();
    tick_.cancel();
    pause_.cancel();
    while (running_) {
        idle_.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code ignored;
        co_await idle_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (withdraw) {
        co_await say_farewell();
    } else {
        host_.frr.release(kOwner);
    }
    kernel_.finish(settings_);
    host_.health.forget("ra");
    records_.clear();
    declared_.reset();
    surveyed_at_.reset();
}

Awaitable<void> Service::say_farewell() {
    host_.frr.withdraw(kOwner);
    frr_ = host_.frr.observe([this](FrrDaemon) { tick_.cancel(); });
    bool late = false;
    while (!late && !host_.frr.status(FrrDaemon::kZebra).in_sync) {
        tick_.expires_after(kFarewell);
        boost::system::error_code ended;
        co_await tick_.async_wait(asio::redirect_error(asio::use_awaitable, ended));
        late = !ended;
    }
    frr_.reset();
    // Addresses only now: zebra would advertise one whose prefix it does not have for 30 days.
    kernel_.withdraw(records_, settings_);
    PortRecords left = records_;
    for (auto& [name, record] : left) {
        record.farewell = record.farewell || record.active;
        record.active = false;
    }
    auto committed = co_await commit(records_, left, "withdrawn");
    if (!committed) kLog.warning("cannot note that the ports were withdrawn", {{"error", committed.error()}});
}

void Service::on_frr() {
    for (const FrrDrift& entry : host_.frr.drift()) {
        if (entry.daemon != FrrDaemon::kZebra || entry.time <= seen_drift_) continue;
        remember_drift({entry.time, entry.subject, "zebra", entry.difference});
    }
    auto all = host_.frr.drift();
    if (!all.empty()) seen_drift_ = std::max(seen_drift_, all.back().time);
    put_kernel_state();
    report_health();
}

void Service::remember_drift(DriftRecord record) {
    std::string subject = record.port.empty() ? host_.hostname : host_.hostname + "/" + record.port;
    host_.events.publish({"ra.drift",
                          subject,
                          fmt::format("{} had: {}; programmed again", record.where, record.difference),
                          {{"port", record.port}, {"where", record.where}, {"difference", record.difference}},
                          {},
                          0});
    drift_.push_back(std::move(record));
    if (drift_.size() > kMaxDriftRecords) drift_.pop_front();
}

void Service::put_kernel_state() {
    auto found = kernel_.put(records_, settings_, host_.frr.status(FrrDaemon::kZebra).in_sync);
    for (KernelDrift& entry : found) {
        kLog.info("repaired drift of the kernel", {{"port", entry.port}, {"difference", entry.difference}});
        remember_drift({host_.clock.system_now(), std::move(entry.port), "kernel", std::move(entry.difference)});
    }
}

std::vector<PortStatus> Service::ports() const {
    FrrDaemonStatus zebra = host_.frr.status(FrrDaemon::kZebra);
    std::vector<PortStatus> result;
    for (const auto& [name, record] : records_) {
        if (!record.active) continue;
        PortStatus port{name, record.prefix, "absent", {}, "waiting", {}};
        if (auto link = host_.net.link(name)) {
            port.link = link->up && link->carrier ? "up" : "down";
            port.mac = link->mac;
        }
        auto error = kernel_.errors().find(name);
        if (error != kernel_.errors().end()) {
            port.state = "failed";
            port.error = error->second;
        } else if (kernel_.confirmed(name) && zebra.connected && zebra.in_sync) {
            port.state = "advertising";
        }
        result.push_back(std::move(port));
    }
    std::sort(result.begin(), result.end(),
              [](const PortStatus& a, const PortStatus& b) { return natural_less(a.name, b.name); });
    return result;
}

}  // namespace nett::ra
