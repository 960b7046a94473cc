// FRR, kernel, events and health in memory, for unit tests of plugins.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "agent/sdk/plugin.hpp"

namespace nett::test {

// Records declarations; the test says when the daemons are reachable and in sync.
class FakeFrr final : public Frr {
public:
    std::map<std::string, std::vector<RaInterface>> ra;
    std::map<std::string, std::vector<PrefixListEntry>> prefix_lists;
    std::vector<std::string> released;
    std::vector<std::string> withdrawn;
    std::vector<FrrDrift> drifts;
    std::map<std::string, std::string> shows;  // what show_json() answers, by command; anything else: "{}"
    FrrDaemonStatus zebra;
    FrrDaemonStatus bgpd;
    // One word for each call, in order, shared with FakeNet: "declare-ra", "declare-prefix-list permit".
    std::vector<std::string>* journal = nullptr;

    void declare_ra(std::string owner, std::vector<RaInterface> desired) override {
        note("declare-ra");
        ra[owner] = std::move(desired);
        zebra.in_sync = false;
    }
    void declare_prefix_list(std::string owner, std::vector<PrefixListEntry> desired) override {
        note(!desired.empty() && desired[0].permit ? "declare-prefix-list permit" : "declare-prefix-list deny");
        prefix_lists[owner] = std::move(desired);
        bgpd.in_sync = false;
    }
    void withdraw(std::string owner) override {
        note("withdraw");
        ra[owner].clear();
        prefix_lists[owner].clear();
        zebra.in_sync = bgpd.in_sync = false;
        withdrawn.push_back(std::move(owner));
    }
    void release(std::string owner) override { released.push_back(std::move(owner)); }
    std::vector<FrrDrift> drift() const override { return drifts; }
    FrrDaemonStatus status(FrrDaemon daemon) const override { return daemon == FrrDaemon::kZebra ? zebra : bgpd; }
    Subscription observe(std::function<void(FrrDaemon)> observer) override {
        int id = next_++;
        observers_.emplace(id, std::move(observer));
        return Subscription([this, id] { observers_.erase(id); });
    }
    Awaitable<Result<std::string>> show_json(std::string command) override {
        auto it = shows.find(command);
        co_return it == shows.end() ? std::string("{}") : it->second;
    }
    std::string shown_text;  // answer of show_text()
    Awaitable<Result<std::string>> show_text(std::string) override { co_return shown_text; }

    // The daemon has what was declared.
    void sync(FrrDaemon daemon) {
        FrrDaemonStatus& status = daemon == FrrDaemon::kZebra ? zebra : bgpd;
        status.connected = status.in_sync = true;
        status.error.clear();
        tell(daemon);
    }
    void tell(FrrDaemon daemon) {
        auto observers = observers_;
        for (auto& [id, observer] : observers) observer(daemon);
    }

private:
    void note(std::string word) {
        if (journal != nullptr) journal->push_back(std::move(word));
    }
    std::map<int, std::function<void(FrrDaemon)>> observers_;
    int next_ = 0;
};

// Links, addresses and blackholes in memory.
class FakeNet final : public Net {
public:
    std::vector<Link> existing;
    std::map<std::string, std::vector<LinkAddress>> on_link;
    std::vector<Prefix6> blackholes;
    std::optional<Error> fault;                   // of every write
    std::vector<std::string>* journal = nullptr;  // "put-address", "remove-address"
    int puts = 0;
    mutable int address_reads = 0;

    void add_link(std::string name) {
        existing.push_back({static_cast<int>(existing.size()) + 1, std::move(name), true, true, "02:00:00:00:00:01"});
        tell();
    }
    void drop_link(const std::string& name) {
        std::erase_if(existing, [&](const Link& link) { return link.name == name; });
        on_link.erase(name);
        tell();
    }
    bool has(const std::string& interface, const std::string& address) const {
        auto it = on_link.find(interface);
        return it != on_link.end() && std::any_of(it->second.begin(), it->second.end(), [&](const LinkAddress& entry) {
                   return entry.address.to_string() == address;
               });
    }

    std::vector<Link> links() const override { return existing; }
    std::optional<Link> link(std::string_view name) const override {
        auto it = std::find_if(existing.begin(), existing.end(), [&](const Link& link) { return link.name == name; });
        if (it == existing.end()) return std::nullopt;
        return *it;
    }
    Subscription observe_links(std::function<void()> observer) override {
        int id = next_++;
        observers_.emplace(id, std::move(observer));
        return Subscription([this, id] { observers_.erase(id); });
    }
    Subscription observe_addresses(std::function<void(int)> observer) override {
        int id = next_++;
        address_observers_.emplace(id, std::move(observer));
        return Subscription([this, id] { address_observers_.erase(id); });
    }
    // As after the kernel's event.
    void tell_addresses(int link) {
        auto observers = address_observers_;
        for (auto& [id, observer] : observers) observer(link);
    }
    Result<std::vector<LinkAddress>> addresses(std::string_view interface) const override {
        ++address_reads;
        if (!link(interface)) return fail(Code::kNotFound, "there is no interface {}", interface);
        auto it = on_link.find(std::string(interface));
        return it == on_link.end() ? std::vector<LinkAddress>{} : it->second;
    }
    Result<void> put_address(std::string_view interface, const LinkAddress& address, bool) override {
        note("put-address");
        ++puts;
        if (fault) return fail(Error(*fault));
        if (!link(interface)) return fail(Code::kNotFound, "there is no interface {}", interface);
        auto& list = on_link[std::string(interface)];
        std::erase_if(list, [&](const LinkAddress& entry) { return entry.address == address.address; });
        list.push_back(address);
        return {};
    }
    Result<void> remove_address(std::string_view interface, const InterfaceAddress& address) override {
        note("remove-address");
        if (fault) return fail(Error(*fault));
        std::erase_if(on_link[std::string(interface)],
                      [&](const LinkAddress& entry) { return entry.address == address; });
        return {};
    }
    Result<void> put_blackhole(const Prefix6& prefix) override {
        if (fault) return fail(Error(*fault));
        blackholes.push_back(prefix);
        return {};
    }
    Result<void> remove_blackhole(const Prefix6& prefix) override {
        std::erase(blackholes, prefix);
        return {};
    }
    Result<bool> has_blackhole(const Prefix6& prefix) const override {
        return std::find(blackholes.begin(), blackholes.end(), prefix) != blackholes.end();
    }
    Result<std::vector<Neighbour>> neighbours(std::string_view) const override { return std::vector<Neighbour>{}; }

private:
    void note(std::string word) {
        if (journal != nullptr) journal->push_back(std::move(word));
    }
    void tell() {
        auto observers = observers_;
        for (auto& [id, observer] : observers) observer();
    }
    std::map<int, std::function<void()>> observers_;
    std::map<int, std::function<void(int)>> address_observers_;
    int next_ = 0;
};

class FakeEvents final : public EventBus {
public:
    std::vector<Event> published;
    void publish(Event event) override { published.push_back(std::move(event)); }
    Subscription subscribe(std::string, Handler) override { return {}; }
    std::vector<std::string> types() const {
        std::vector<std::string> result;
        for (const Event& event : published) result.push_back(event.type);
        return result;
    }
};

class FakeHealth final : public HealthRegistry {
public:
    void report(HealthCondition condition) override {
        auto key = std::make_pair(condition.component, condition.name);
        bool changed = !reported_.contains(key) || reported_[key].state != condition.state;
        reported_[key] = condition;
        if (changed && observer_) observer_(condition);
    }
    void forget(std::string component) override {
        std::erase_if(reported_, [&](const auto& entry) { return entry.first.first == component; });
    }
    std::vector<HealthCondition> conditions() const override {
        std::vector<HealthCondition> result;
        for (const auto& [key, condition] : reported_) result.push_back(condition);
        return result;
    }
    Subscription observe(std::function<void(const HealthCondition&)> observer) override {
        observer_ = std::move(observer);
        return Subscription([this] { observer_ = nullptr; });
    }
    HealthState state(const std::string& component, const std::string& name) const {
        return reported_.at({component, name}).state;
    }

private:
    std::map<std::pair<std::string, std::string>, HealthCondition> reported_;
    std::function<void(const HealthCondition&)> observer_;
};

class NoSecrets final : public SecretBox {
public:
    Result<std::string> seal(std::string_view, std::string_view) const override {
        return fail(Code::kUnimplemented, "no secrets here");
    }
    Result<std::string> open(std::string_view, std::string_view) const override {
        return fail(Code::kUnimplemented, "no secrets here");
    }
};

}  // namespace nett::test
