#include "agent/fabric/reported_ports.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/json.hpp>

#include "agent/sdk/port_records.hpp"
#include "agent/sdk/records.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// etcd takes 128 operations in one transaction; each change here is a compare and a write.
constexpr std::size_t kPortsAtOnce = 50;
constexpr unsigned kPortPrefixLength = 64;  // SLAAC
constexpr std::size_t kMaxPortName = 128;   // a host's name has 63 bytes, an interface's 15

// Collects changes into transactions of a bounded size.
class Changes {
public:
    explicit Changes(const std::string& name) : name_(name) {}

    void put(const ReportedPort& port, Revision revision) {
        auto& transaction = next(port.port, revision);
        const json::object value{{"prefix", port.prefix.to_string()}};
        transaction.puts.push_back({std::string(kReportedPortKind), port.port, json::serialize(value)});
    }
    void remove(const std::string& port, Revision revision) {
        next(port, revision).deletes.push_back({std::string(kReportedPortKind), port});
    }
    std::vector<Transaction> take() { return std::move(transactions_); }

private:
    Transaction& next(const std::string& port, Revision revision) {
        if (transactions_.empty() || transactions_.back().compares.size() >= kPortsAtOnce) {
            transactions_.emplace_back();
            transactions_.back().actor = "fabric:" + name_;
            transactions_.back().reason = "the switch reports its ports";
        }
        transactions_.back().compares.push_back(unchanged(kReportedPortKind, port, revision));
        return transactions_.back();
    }

    const std::string name_;
    std::vector<Transaction> transactions_;
};

}  // namespace

std::string_view switch_of(std::string_view name) {
    return name.substr(0, name.find_first_of("./"));
}

Result<void> check_ports(const std::vector<ReportedPort>& ports) {
    if (ports.size() > kMaxPortsPerSwitch) {
        return fail(Code::kInvalidArgument, "a switch reports at most {} ports", kMaxPortsPerSwitch);
    }
    std::set<std::string_view> seen;
    for (const auto& port : ports) {
        if (port.port.size() > kMaxPortName) return fail(Code::kInvalidArgument, "a port's name is too long");
        if (port.prefix.length() != kPortPrefixLength) {
            return fail(Code::kInvalidArgument, "port {} has prefix {}; a port's prefix is a /{} (SLAAC)", port.port,
                        port.prefix.to_string(), kPortPrefixLength);
        }
        if (!seen.insert(port.port).second) {
            return fail(Code::kInvalidArgument, "port {} is there twice", port.port);
        }
    }
    return {};
}

Result<std::vector<ReportedPort>> read_reported_ports(const Store& store) {
    const auto records = store.list(kReportedPortKind);
    if (!records) return fail(Error(records.error()));
    std::vector<ReportedPort> ports;
    for (const auto& record : *records) {
        const auto prefix = port_prefix_of(record);
        if (!prefix) return fail(prefix.error());
        if (*prefix) ports.push_back({record.key, **prefix});
    }
    return ports;
}

PortChanges port_changes(const std::vector<Record>& records, const std::string& name,
                         const std::vector<ReportedPort>& ports,
                         const std::function<bool(std::string_view name)>& is_heard) {
    struct Known {
        std::optional<Prefix6> prefix;  // nullopt: a record that cannot be read, to be written anew
        Revision revision = 0;
    };
    std::map<std::string, Known> own;
    std::map<Prefix6, std::pair<std::string, Revision>> foreign;
    for (const auto& record : records) {
        const auto prefix = port_prefix_of(record).value_or(std::nullopt);
        if (switch_of(record.key) == name) {
            own[record.key] = {prefix, record.revision};
        } else if (prefix) {
            foreign[*prefix] = {record.key, record.revision};
        }
    }
    PortChanges out;
    Changes changes(name);
    for (const auto& port : ports) {
        if (const auto rival = foreign.find(port.prefix); rival != foreign.end()) {
            const auto& [other, revision] = rival->second;
            if (is_heard(switch_of(other))) {
                out.disputed.push_back(
                    fmt::format("{} has the prefix {} of {}", port.port, port.prefix.to_string(), other));
                continue;
            }
            changes.remove(other, revision);
        }
        const auto known = own.find(port.port);
        const Revision revision = known == own.end() ? 0 : known->second.revision;
        const bool same = known != own.end() && known->second.prefix == port.prefix;
        if (known != own.end()) own.erase(known);
        if (!same) changes.put(port, revision);
    }
    for (const auto& [port, known] : own) changes.remove(port, known.revision);
    out.transactions = changes.take();
    return out;
}

void ReportedPorts::replace(const std::string& name, std::vector<ReportedPort> ports) {
    due_[name] = std::move(ports);
    retry();
}

void ReportedPorts::retry() {
    if (due_.empty() || stopping_) return;
    again_ = true;
    if (!std::exchange(writing_, true)) tasks_.spawn(write());
}

Awaitable<void> ReportedPorts::stop() {
    stopping_ = true;
    auto joined = tasks_.join();
    co_await std::move(joined);
}

Awaitable<void> ReportedPorts::write() {
    while (std::exchange(again_, false) && !stopping_) {
        const auto due = due_;
        for (const auto& [name, ports] : due) {
            auto writing = write_switch(name, ports);
            const bool written = co_await std::move(writing);
            if (!written) continue;
            // It may have reported others meanwhile.
            if (const auto entry = due_.find(name); entry != due_.end() && entry->second == ports) due_.erase(entry);
        }
    }
    writing_ = false;
}

Awaitable<bool> ReportedPorts::write_switch(std::string name, std::vector<ReportedPort> ports) {
    for (int attempt = 0; attempt < kMaxUpdateAttempts && !stopping_; ++attempt) {
        const auto records = d_.store.list(kReportedPortKind);
        if (!records) {
            log_.warning("cannot read the ports of the switches", {{"error", records.error()}});
            co_return false;
        }
        auto changes = port_changes(*records, name, ports, [this](std::string_view other) { return is_heard(other); });
        report(name, changes.disputed);
        std::optional<Error> error;
        for (auto& transaction : changes.transactions) {
            auto commit = d_.store.commit(std::move(transaction));
            const auto committed = co_await std::move(commit);
            if (!committed) error = committed.error();
            if (error) break;
        }
        if (!error) {
            failing_ = false;
            co_return changes.disputed.empty();
        }
        if (error->code == Code::kAborted) continue;  // another server has heard the same
        if (!std::exchange(failing_, true)) {
            log_.warning("cannot record the switches' ports; tried again", {{"switch", name}, {"error", *error}});
        }
        co_return false;
    }
    co_return false;
}

void ReportedPorts::report(const std::string& name, const std::vector<std::string>& disputed) {
    if (disputed.empty() && disputing_.erase(name) == 0) return;
    if (!disputed.empty()) disputing_.insert(name);
    d_.health.report(
        {"fabric", "ports of " + name, HealthScope::kInfo, disputed.empty() ? HealthState::kOk : HealthState::kDegraded,
         fmt::format("{}", fmt::join(disputed, "; ")),
         disputed.empty() ? ""
                          : "give each port a prefix of its own in \"plugin ra\" of the two switches; until "
                            "then no machine is served as behind the ports named first"});
}

bool ReportedPorts::is_heard(std::string_view name) const {
    const auto now = d_.clock.system_now();
    return std::any_of(d_.view.origins().begin(), d_.view.origins().end(), [&](const auto& one) {
        return switch_of(one.first) == name && (one.second.own || now - one.second.heard <= kSilentAfter);
    });
}

}  // namespace nett
