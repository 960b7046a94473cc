#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/frr/frr.hpp"
#include "agent/frr/reconciler.hpp"
#include "agent/frr/vtysh.hpp"
#include "agent/sdk/log.hpp"

namespace nett {
namespace {

const Logger kLog("frr");

// What one owner declared, until it is released and programmed.
template <typename Desired>
struct Declarations {
    struct Owner {
        Desired desired;
        bool released = false;  // forget once programmed
    };
    std::map<std::string, Owner> owners;

    void release(const std::string& owner, bool programmed) {
        auto it = owners.find(owner);
        if (it == owners.end()) return;
        if (programmed) {
            owners.erase(it);
        } else {
            it->second.released = true;
        }
    }
};

class ZebraWork final : public FrrWork {
public:
    explicit ZebraWork(const Clock& clock) : clock_(clock) {}

    void declare(const std::string& owner, std::vector<RaInterface> interfaces) {
        if (auto it = declarations_.owners.find(owner); it != declarations_.owners.end()) {
            for (const RaInterface& old : it->second.desired) planner_.adopt(old);
        }
        declarations_.owners[owner] = {std::move(interfaces), false};
        used_ = true;
    }
    void release(const std::string& owner, bool programmed) {
        declarations_.release(owner, programmed);
        if (programmed) forget_undeclared();
    }

    bool wanted() const override { return used_; }

    FrrRead reader() override {
        return [](FrrBackend& backend) -> Result<FrrActual> {
            auto table = backend.read_ra();
            if (!table) return fail(std::move(table.error()));
            return FrrActual(std::move(*table));
        };
    }

    Plan plan(const FrrActual& actual) override {
        RaChange change = planner_.plan(merged(), std::get<RaTable>(actual), clock_.steady_now());
        if (change.empty()) return {};
        bool drift = change.drift;
        return {[change = std::move(change)](FrrBackend& backend) { return backend.apply_ra(change); }, drift};
    }

    void settled() override {
        if (std::erase_if(declarations_.owners, [](const auto& entry) { return entry.second.released; }) > 0) {
            forget_undeclared();
        }
    }

private:
    RaPlanner::Declared merged() const {
        RaPlanner::Declared result;
        for (const auto& [owner, entry] : declarations_.owners) {
            for (const RaInterface& interface : entry.desired) result[interface.name] = normalized(interface);
        }
        return result;
    }
    void forget_undeclared() {
        if (declarations_.owners.empty()) {
            planner_ = RaPlanner();
            used_ = false;
        }
    }

    const Clock& clock_;
    Declarations<std::vector<RaInterface>> declarations_;
    RaPlanner planner_;
    bool used_ = false;
};

class BgpdWork final : public FrrWork {
public:
    void declare(const std::string& owner, std::vector<PrefixListEntry> entries) {
        if (auto it = declarations_.owners.find(owner); it != declarations_.owners.end()) {
            for (const PrefixListEntry& old : it->second.desired) unwanted_.insert({old.list, old.sequence});
        }
        declarations_.owners[owner] = {std::move(entries), false};
    }
    void release(const std::string& owner, bool programmed) { declarations_.release(owner, programmed); }

    bool wanted() const override {
        return !unwanted_.empty() || std::any_of(declarations_.owners.begin(), declarations_.owners.end(),
                                                 [](const auto& entry) { return !entry.second.desired.empty(); });
    }

    FrrRead reader() override {
        std::set<std::string> lists;
        for (const auto& [key, entry] : merged()) lists.insert(key.first);
        for (const EntryKey& key : unwanted_) lists.insert(key.first);
        return [lists = std::move(lists)](FrrBackend& backend) -> Result<FrrActual> {
            auto table = backend.read_prefix_lists(lists);
            if (!table) return fail(std::move(table.error()));
            return FrrActual(std::move(*table));
        };
    }

    Plan plan(const FrrActual& actual) override {
        PrefixListChange change = plan_prefix_lists(merged(), unwanted_, std::get<PrefixListTable>(actual));
        if (change.empty()) return {};
        return {[change = std::move(change)](FrrBackend& backend) { return backend.apply_prefix_lists(change); }, true};
    }

    void settled() override {
        unwanted_.clear();
        std::erase_if(declarations_.owners, [](const auto& entry) { return entry.second.released; });
    }

private:
    DeclaredEntries merged() const {
        DeclaredEntries result;
        for (const auto& [owner, entry] : declarations_.owners) {
            for (const PrefixListEntry& line : entry.desired) result[{line.list, line.sequence}] = line;
        }
        return result;
    }

    Declarations<std::vector<PrefixListEntry>> declarations_;
    std::set<EntryKey> unwanted_;
};

std::string_view module_remedy(FrrDaemon daemon) {
    return daemon == FrrDaemon::kZebra
               ? "check that zebra runs with \"-M grpc:unix:/run/frr/zebra-grpc.sock\" (in /etc/frr/daemons) and that "
                 "\"frr zebra target\" names the same socket"
               : "check that bgpd runs with \"-M grpc:unix:/run/frr/bgpd-grpc.sock\" (in /etc/frr/daemons) and that "
                 "\"frr bgpd target\" names the same socket";
}

class FrrAdapterImpl final : public FrrAdapter {
public:
    FrrAdapterImpl(asio::any_io_executor loop, const Clock& clock, EventBus& events, HealthRegistry& health)
        : events_(events),
          health_(health),
          zebra_work_(clock),
          zebra_(make_reconciler(loop, clock, FrrDaemon::kZebra, zebra_work_)),
          bgpd_(make_reconciler(loop, clock, FrrDaemon::kBgpd, bgpd_work_)) {}

    ~FrrAdapterImpl() override { stop(); }

    void declare_ra(std::string owner, std::vector<RaInterface> desired) override {
        zebra_work_.declare(owner, std::move(desired));
        zebra_->declared();
    }

    void declare_prefix_list(std::string owner, std::vector<PrefixListEntry> desired) override {
        bgpd_work_.declare(owner, std::move(desired));
        bgpd_->declared();
    }

    void release(std::string owner) override {
        zebra_work_.release(owner, zebra_->status().in_sync);
        bgpd_work_.release(owner, bgpd_->status().in_sync);
        // A daemon that nobody needs any more has no health.
        health_.forget("frr");
        if (zebra_work_.wanted() && zebra_->status().reconciles > 0) report_health(FrrDaemon::kZebra, zebra_->status());
        if (bgpd_work_.wanted() && bgpd_->status().reconciles > 0) report_health(FrrDaemon::kBgpd, bgpd_->status());
    }

    FrrDaemonStatus status(FrrDaemon daemon) const override { return reconciler(daemon).status(); }

    Subscription observe(std::function<void(FrrDaemon)> observer) override {
        int id = next_observer_++;
        observers_.emplace(id, std::move(observer));
        return Subscription([this, weak = std::weak_ptr<bool>(alive_), id] {
            if (!weak.expired()) observers_.erase(id);
        });
    }

    Awaitable<Result<std::string>> show_json(std::string command) override { return show(command + " json"); }
    Awaitable<Result<std::string>> show_text(std::string command) override { return show(std::move(command)); }

    void reconfigure(FrrSettings settings) override {
        if (settings_ == settings) return;
        settings_ = std::move(settings);
        use(*zebra_, settings_.zebra_target, "frr zebra target");
        use(*bgpd_, settings_.bgpd_target, "frr bgpd target");
    }

    void stop() override {
        zebra_->stop();
        bgpd_->stop();
        show_worker_.join();
        observers_.clear();
    }

private:
    Awaitable<Result<std::string>> show(std::string command) {
        auto worker = show_worker_.get_executor();
        auto run = [path = settings_.vtysh_path, arguments = settings_.vtysh_arguments,
                    command = std::move(command)]() -> Awaitable<Result<std::string>> {
            co_return run_vtysh(path, arguments, command);
        };
        co_return co_await asio::co_spawn(worker, std::move(run), asio::use_awaitable);
    }

    std::shared_ptr<Reconciler> make_reconciler(asio::any_io_executor loop, const Clock& clock, FrrDaemon daemon,
                                                FrrWork& work) {
        return std::make_shared<Reconciler>(
            loop, clock, work, [this, daemon](const FrrDaemonStatus& before) { on_round(daemon, before); });
    }

    const Reconciler& reconciler(FrrDaemon daemon) const { return daemon == FrrDaemon::kZebra ? *zebra_ : *bgpd_; }

    void use(Reconciler& reconciler, const std::string& target, std::string_view command) {
        if (settings_.vtysh_backend) {
            reconciler.use(nullptr, "the vtysh backend only answers show commands so far; use \"frr backend grpc\"");
        } else if (target.empty()) {
            reconciler.use(nullptr, fmt::format("\"{}\" is not configured", command));
        } else {
            reconciler.use(make_grpc_backend(target));
        }
    }

    void on_round(FrrDaemon daemon, const FrrDaemonStatus& before) {
        const FrrDaemonStatus& now = reconciler(daemon).status();
        bool first = before.reconciles == 0;
        std::string name(to_string(daemon));
        if (now.connected != before.connected || (first && !now.connected)) {
            if (now.connected) {
                kLog.info("connected", {{"daemon", name}, {"backend", now.backend}});
                events_.publish({"frr.connected", name, name + " answers", {}, {}, 0});
            } else {
                kLog.warning("not reachable; trying again", {{"daemon", name}, {"error", now.error}});
                events_.publish({"frr.disconnected", name, now.error, {}, {}, 0});
            }
        } else if (now.error != before.error && !now.error.empty() && now.connected) {
            kLog.warning("refused what was declared; trying again", {{"daemon", name}, {"error", now.error}});
        }
        if (now.repairs != before.repairs) {
            kLog.info("repaired drift", {{"daemon", name}, {"repairs", now.repairs}});
            events_.publish(
                {"frr.repaired", name, name + " had lost or changed what was declared; programmed again", {}, {}, 0});
        }
        report_health(daemon, now);
        bool changed = first || now.connected != before.connected || now.in_sync != before.in_sync ||
                       now.error != before.error || now.repairs != before.repairs || now.hardened != before.hardened;
        if (!changed) return;
        auto observers = observers_;
        for (auto& [id, observer] : observers) {
            if (observers_.contains(id)) observer(daemon);
        }
    }

    void report_health(FrrDaemon daemon, const FrrDaemonStatus& now) {
        HealthCondition condition;
        condition.component = "frr";
        condition.name = std::string(to_string(daemon));
        if (!now.connected) {
            condition.state = HealthState::kFailed;
            condition.message = fmt::format("{} is not reachable: {}", condition.name, now.error);
            condition.remedy = module_remedy(daemon);
        } else if (!now.error.empty()) {
            condition.state = HealthState::kDegraded;
            condition.message = fmt::format("{} refuses what was declared: {}", condition.name, now.error);
            condition.remedy = "see the daemon's log (show logging in vtysh)";
        } else if (!now.hardened) {
            condition.state = HealthState::kDegraded;
            condition.message =
                fmt::format("{} runs FRR's unpatched gRPC module, which loses configuration and listens everywhere",
                            condition.name);
            condition.remedy = "install the module of packaging/frr-grpc and restart FRR";
        }
        health_.report(std::move(condition));
    }

    EventBus& events_;
    HealthRegistry& health_;
    FrrSettings settings_{.zebra_target = "", .bgpd_target = ""};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::map<int, std::function<void(FrrDaemon)>> observers_;
    int next_observer_ = 0;
    ZebraWork zebra_work_;
    BgpdWork bgpd_work_;
    asio::thread_pool show_worker_{1};
    std::shared_ptr<Reconciler> zebra_;
    std::shared_ptr<Reconciler> bgpd_;
};

}  // namespace

std::unique_ptr<FrrAdapter> make_frr(asio::any_io_executor loop, const Clock& clock, EventBus& events,
                                     HealthRegistry& health, FrrSettings settings) {
    auto adapter = std::make_unique<FrrAdapterImpl>(loop, clock, events, health);
    adapter->reconfigure(std::move(settings));
    return adapter;
}

}  // namespace nett
