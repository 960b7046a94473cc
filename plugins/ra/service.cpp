#include "plugins/ra/service.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett::ra {
namespace {

const Logger kLog("ra");
constexpr const char* kOwner = "ra";

InterfaceAddress port_address(const Prefix6& prefix) {
    return {prefix.host(1), prefix.length()};
}

bool is_away(const Error& error) {
    return error.code == Code::kNotFound;
}

}  // namespace

Service::Service(const Host& host) : host_(host), idle_(host.loop), tick_(host.loop) {}

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
    auto result = co_await apply_now(std::move(settings));
    unlock();
    co_return result;
}

Awaitable<Result<void>> Service::apply_now(Settings settings) {
    auto numbered = co_await number_ports(settings);
    if (!numbered) co_return fail(std::move(numbered.error()));
    PortRecords before = std::exchange(records_, std::move(*numbered));
    settings_ = std::move(settings);
    declare(before);
    publish_changes(before);
    report_health();
    co_return Result<void>{};
}

Result<PortRecords> Service::load() const {
    auto stored = host_.store.list(kPortKind);
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
    for (const auto& [name, record] : known) {
        if (!host_.net.link(name)) names.push_back(name);
    }
    return names;
}

Awaitable<Result<PortRecords>> Service::number_ports(const Settings& settings) {
    auto known = load();
    if (!known) co_return fail(std::move(known.error()));
    auto wanted = allocate(settings, matching_ports(settings, candidates(*known)), *known);
    if (!wanted) co_return fail(std::move(wanted.error()));
    Transaction transaction;
    transaction.actor = "plugin:ra";
    transaction.reason = "ports numbered";
    for (const auto& [name, record] : *wanted) {
        auto it = known->find(name);
        if (it == known->end() || it->second != record) {
            transaction.puts.push_back({std::string(kPortKind), name, to_json(record)});
        }
    }
    for (const auto& [name, record] : *known) {
        if (!wanted->contains(name)) transaction.deletes.push_back({std::string(kPortKind), name});
    }
    // What the last run of the agent had programmed and is no longer wanted is this run's to take away.
    if (records_.empty()) records_ = *known;
    if (!transaction.puts.empty() || !transaction.deletes.empty()) {
        auto committed = co_await host_.store.commit(std::move(transaction));
        if (!committed) co_return fail(std::move(committed.error()).in("numbering the ports"));
    }
    co_return std::move(*wanted);
}

std::vector<RaInterface> Service::advertisements(const PortRecords& records) const {
    std::vector<RaInterface> interfaces;
    for (const auto& [name, record] : records) {
        if (!record.active) continue;
        RaInterface interface = settings_.advertisement;
        interface.name = name;
        interface.prefixes = {settings_.lifetimes};
        interface.prefixes[0].prefix = record.prefix;
        interfaces.push_back(std::move(interface));
    }
    return interfaces;
}

void Service::declare(const PortRecords& before) {
    confirmed_.clear();
    for (const auto& [name, old] : before) {
        if (old.aggregate && old.aggregate != settings_.aggregate) old_aggregates_.insert(*old.aggregate);
        auto now = records_.find(name);
        bool stays = now != records_.end() && now->second.active && now->second.prefix == old.prefix;
        if (old.active && !stays) leaving_[name] = port_address(old.prefix);
        if (old.active && stays) confirmed_.insert(name);
    }
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
    seen_repairs_ = host_.frr.status(FrrDaemon::kZebra).repairs;
    links_ = host_.net.observe_links([this] {
        links_changed_ = true;
        tick_.cancel();
    });
    frr_ = host_.frr.observe([this](FrrDaemon daemon) {
        if (daemon == FrrDaemon::kZebra) on_frr();
    });
    asio::co_spawn(host_.loop, follow(), asio::detached);
}

Awaitable<void> Service::follow() {
    while (!stopping_) {
        bool at_once = links_changed_ && numbering_error_.empty();
        tick_.expires_after(at_once ? std::chrono::seconds(0) : kCheckInterval);
        boost::system::error_code ignored;
        co_await tick_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        if (stopping_) break;
        if (std::exchange(links_changed_, false)) {
            co_await follow_links();
        } else {
            put_kernel_state();
        }
        report_health();
    }
    running_ = false;
    idle_.cancel();
}

Awaitable<void> Service::follow_links() {
    co_await lock();
    Result<void> result;
    if (!stopping_) {
        Settings settings = settings_;
        result = co_await apply_now(std::move(settings));
    }
    unlock();
    numbering_error_ = result ? std::string() : result.error().to_string();
    if (result) co_return;
    kLog.warning("cannot follow the links; trying again", {{"error", result.error()}});
    links_changed_ = true;
}

Awaitable<void> Service::stop() {
    stopping_ = true;
    links_.reset();
    frr_.reset();
    tick_.cancel();
    while (running_) {
        idle_.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code ignored;
        co_await idle_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    host_.frr.release(kOwner);
    host_.health.forget("ra");
    records_.clear();
    confirmed_.clear();
    declared_.reset();
}

void Service::on_frr() {
    FrrDaemonStatus status = host_.frr.status(FrrDaemon::kZebra);
    if (status.repairs != seen_repairs_) {
        seen_repairs_ = status.repairs;
        host_.events.publish(
            {"ra.drift", host_.hostname, "zebra had lost or changed advertisements; programmed again", {}, {}, 0});
    }
    put_kernel_state();
    report_health();
}

void Service::put_kernel_state() {
    errors_.clear();
    if (host_.frr.status(FrrDaemon::kZebra).in_sync) {
        for (const auto& [port, address] : leaving_) {
            auto removed = host_.net.remove_address(port, address);
            if (!removed) kLog.warning("address stays", {{"port", port}, {"error", removed.error()}});
        }
        leaving_.clear();
        for (const auto& [name, record] : records_) {
            if (record.active) confirmed_.insert(name);
        }
    }
    for (const auto& [name, record] : records_) {
        if (record.active && confirmed_.contains(name)) put_address(name, record);
    }
    put_aggregate();
}

void Service::put_address(const std::string& port, const PortRecord& record) {
    auto link = host_.net.link(port);
    if (!link || !link->up) return;  // the kernel takes the addresses of a link that is down away
    auto present = host_.net.addresses(port);
    Result<void> result;
    if (!present) {
        result = fail(std::move(present.error()));
    } else {
        InterfaceAddress address = port_address(record.prefix);
        bool there = std::any_of(present->begin(), present->end(), [&](const LinkAddress& entry) {
            return entry.address == address && !entry.valid_lifetime;
        });
        // Without DAD: the port's only router is this switch, and a machine may already wait for an answer.
        if (!there) result = host_.net.put_address(port, LinkAddress{address, std::nullopt, std::nullopt}, true);
    }
    if (!result && !is_away(result.error())) errors_[port] = result.error().to_string();
}

void Service::put_aggregate() {
    for (const Prefix6& old : old_aggregates_) {
        if (settings_.aggregate == old) continue;
        auto removed = host_.net.remove_blackhole(old);
        if (!removed) kLog.warning("old aggregate stays", {{"error", removed.error()}});
    }
    old_aggregates_.clear();
    if (!settings_.aggregate) return;
    auto there = host_.net.has_blackhole(*settings_.aggregate);
    Result<void> result;
    if (!there) {
        result = fail(std::move(there.error()));
    } else if (!*there) {
        result = host_.net.put_blackhole(*settings_.aggregate);
    }
    if (!result) errors_[""] = result.error().to_string();
}

void Service::report_health() {
    FrrDaemonStatus zebra = host_.frr.status(FrrDaemon::kZebra);
    std::size_t active = 0;
    for (const auto& [name, record] : records_) active += record.active ? 1 : 0;
    HealthCondition programming{"ra", "programming", HealthScope::kInfo, HealthState::kOk, {}, {}, {}};
    programming.message = fmt::format("{} ports advertise", active);
    if (!errors_.empty() || !numbering_error_.empty()) {
        programming.state = HealthState::kFailed;
        programming.message = errors_.empty() ? numbering_error_ : errors_.begin()->second;
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
    HealthCondition ports{"ra", "ports", HealthScope::kInfo, HealthState::kOk, {}, {}, {}};
    ports.message = fmt::format("{} ports", active);
    if (active == 0) {
        ports.state = HealthState::kDegraded;
        ports.message = "no configured port exists on this host";
        ports.remedy = "compare \"ports\" in the configuration with \"ip link\"";
    }
    host_.health.report(std::move(programming));
    host_.health.report(std::move(ports));
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
        auto error = errors_.find(name);
        if (error != errors_.end()) {
            port.state = "failed";
            port.error = error->second;
        } else if (confirmed_.contains(name) && zebra.connected && zebra.in_sync) {
            port.state = "advertising";
        }
        result.push_back(std::move(port));
    }
    std::sort(result.begin(), result.end(),
              [](const PortStatus& a, const PortStatus& b) { return natural_less(a.name, b.name); });
    return result;
}

}  // namespace nett::ra
