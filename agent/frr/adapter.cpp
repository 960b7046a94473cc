#include <deque>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/frr/frr.hpp"
#include "agent/frr/reconciler.hpp"
#include "agent/frr/vtysh.hpp"
#include "agent/frr/work.hpp"
#include "agent/sdk/log.hpp"

namespace nett {
namespace {

const Logger kLog("frr");

// Show commands ask all daemons, and one may hang; who asks has something better to do.
constexpr std::chrono::seconds kShowTimeout{5};

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
        : clock_(clock),
          events_(events),
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

    void withdraw(std::string owner) override {
        zebra_work_.withdraw(owner);
        bgpd_work_.withdraw(owner);
        zebra_->declared();
        bgpd_->declared();
    }

    void release(std::string owner) override {
        zebra_work_.release(owner, zebra_->status().in_sync);
        bgpd_work_.release(owner, bgpd_->status().in_sync);
        forget_idle_health();
    }

    std::vector<FrrDrift> drift() const override { return {drift_.begin(), drift_.end()}; }

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
        vtysh_ = std::make_shared<Vtysh>(settings_.vtysh_path, settings_.vtysh_arguments);
        use(FrrDaemon::kZebra, *zebra_, settings_.zebra_target, "frr zebra target");
        use(FrrDaemon::kBgpd, *bgpd_, settings_.bgpd_target, "frr bgpd target");
    }

    void stop() override {
        zebra_->stop();
        bgpd_->stop();
        if (vtysh_) vtysh_->cancel();
        show_worker_.join();
        observers_.clear();
    }

private:
    Awaitable<Result<std::string>> show(std::string command) {
        auto worker = show_worker_.get_executor();
        auto run = [vtysh = vtysh_, command = std::move(command)]() -> Awaitable<Result<std::string>> {
            co_return vtysh->show(command, kShowTimeout);
        };
        co_return co_await asio::co_spawn(worker, std::move(run), asio::use_awaitable);
    }

    std::shared_ptr<Reconciler> make_reconciler(asio::any_io_executor loop, const Clock& clock, FrrDaemon daemon,
                                                FrrWork& work) {
        return std::make_shared<Reconciler>(
            loop, clock, work, [this, daemon](const FrrDaemonStatus& before, const std::vector<FrrDrift>& repaired) {
                on_round(daemon, before, repaired);
            });
    }

    const Reconciler& reconciler(FrrDaemon daemon) const { return daemon == FrrDaemon::kZebra ? *zebra_ : *bgpd_; }

    void use(FrrDaemon daemon, Reconciler& reconciler, const std::string& target, std::string_view command) {
        if (settings_.vtysh_backend) {
            reconciler.use(make_vtysh_backend(daemon, settings_.vtysh_path, settings_.vtysh_arguments));
        } else if (target.empty()) {
            reconciler.use(nullptr, fmt::format("\"{}\" is not configured", command));
        } else {
            reconciler.use(make_grpc_backend(target));
        }
    }

    void remember(std::vector<FrrDrift> repaired) {
        for (FrrDrift& entry : repaired) {
            entry.time = clock_.system_now();
            drift_.push_back(std::move(entry));
            if (drift_.size() > kMaxDriftRecords) drift_.pop_front();
        }
    }

    // A daemon that nobody needs any more has no health.
    void forget_idle_health() {
        health_.forget("frr");
        if (zebra_work_.wanted() && zebra_->status().reconciles > 0) report_health(FrrDaemon::kZebra, zebra_->status());
        if (bgpd_work_.wanted() && bgpd_->status().reconciles > 0) report_health(FrrDaemon::kBgpd, bgpd_->status());
    }

    void on_round(FrrDaemon daemon, const FrrDaemonStatus& before, const std::vector<FrrDrift>& repaired) {
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
        if (!repaired.empty()) {
            remember(repaired);
            for (const FrrDrift& entry : repaired) {
                kLog.info("repaired drift",
                          {{"daemon", name}, {"subject", entry.subject}, {"difference", entry.difference}});
            }
            events_.publish(
                {"frr.repaired", name, name + " had lost or changed what was declared; programmed again", {}, {}, 0});
        }
        bool wanted = daemon == FrrDaemon::kZebra ? zebra_work_.wanted() : bgpd_work_.wanted();
        wanted ? report_health(daemon, now) : forget_idle_health();
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
            condition.remedy = settings_.vtysh_backend ? "start FRR; nett must be allowed to use vtysh (group frrvty)"
                                                       : module_remedy(daemon);
        } else if (!now.error.empty()) {
            condition.state = HealthState::kDegraded;
            condition.message = fmt::format("{} refuses what was declared: {}", condition.name, now.error);
            condition.remedy = "see the daemon's log (show logging in vtysh)";
        } else if (!now.hardened) {
            condition.state = HealthState::kDegraded;
            condition.message =
                fmt::format("{} runs FRR's unpatched gRPC module, which loses configuration and listens everywhere",
                            condition.name);
            condition.remedy =
                "install the module of packaging/frr-grpc and restart FRR, or use \"frr backend vtysh\" until then";
        }
        health_.report(std::move(condition));
    }

    const Clock& clock_;
    EventBus& events_;
    HealthRegistry& health_;
    std::deque<FrrDrift> drift_;
    FrrSettings settings_{.zebra_target = "", .bgpd_target = ""};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::map<int, std::function<void(FrrDaemon)>> observers_;
    int next_observer_ = 0;
    ZebraWork zebra_work_;
    BgpdWork bgpd_work_;
    std::shared_ptr<Vtysh> vtysh_;  // of show commands
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
