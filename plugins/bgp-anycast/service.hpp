// Health in, decisions over time, announcements out.
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/plugin.hpp"
#include "plugins/bgp-anycast/announcer.hpp"
#include "plugins/bgp-anycast/checks.hpp"
#include "plugins/bgp-anycast/decision.hpp"
#include "plugins/bgp-anycast/frr_config.hpp"
#include "plugins/bgp-anycast/journal.hpp"
#include "plugins/bgp-anycast/platform.hpp"
#include "plugins/bgp-anycast/verdict.hpp"

namespace nett::anycast {

// Loop thread only. Timers and tasks run from start() to stop().
class Service {
public:
    Service(const Host& host, Platform platform);

    void start(Settings settings);
    void reconfigure(Settings settings);
    // Makes less preferred, waits for the drain time, closes the gate, takes the address away. Idempotent.
    Awaitable<void> stop(SteadyTime deadline);

    // One look at the registry. Called by the timer and whenever a condition changes.
    void look();
    // Brings the announcement in line with the health, the mode and the time.
    void evaluate();
    // An operator's wish: kept across restarts.
    Awaitable<Result<void>> set_mode(Mode mode, std::string note, std::string actor);
    // Every check and the registry, now.
    Awaitable<void> check_now();

    // The service's answer to a handover: "holding" (it begins nothing new), "quiet" (nothing is under way any more).
    void on_handover(const std::string& address, const std::string& state);

    Output show() const;
    Output show_history() const;
    Awaitable<Result<Output>> show_frr_config() const;
    Stance stance() const { return decision_.stance(); }
    bool running() const { return running_; }

private:
    void arm_look();
    void arm_refresh();
    void arm_wake();
    void put_local_path();
    // True when the agent stood still for longer than the lease: then nothing that was known counts any more.
    bool stood_still();
    Health health() const;
    void carry_out(Stance before);
    void note_change(std::string event, std::string state, std::string reason);
    // What a handover is at (service_handover.cpp), until handover_until_.
    enum class Handover { kNone, kAsked, kHolding, kMoving, kTurning };
    void begin_handover();
    // Withdrawn by a configured check, while the agent's own service is well.
    bool still_serves() const;
    void turn_away();
    void advance_handover();
    void let_go();
    void end_handover();
    void enter(Handover phase, std::chrono::milliseconds time);
    void publish_handover(const char* phase, std::string message);
    Awaitable<void> hand_over_in_order(SteadyTime deadline);
    Awaitable<void> withdraw_in_order(SteadyTime deadline);
    Awaitable<void> pause(std::chrono::milliseconds time);
    Awaitable<void> watch_frr_config();
    Awaitable<Result<std::string>> running_config() const;
    bool bgpd_follows() const;
    void report_health();
    void report_parts();
    boost::json::object checks_data() const;
    boost::json::object actuators_data() const;

    const Host& host_;
    Platform platform_;
    Settings settings_;
    Decision decision_;
    Announcer announcer_;
    Checks checks_;
    Journal journal_;
    TaskGroup tasks_;
    CheckTracker local_{2, 2};                    // the registry's local conditions
    CheckTracker shared_{2, 2, CheckState::kUp};  // its shared ones: well until they are not
    Verdict verdict_;
    bool running_ = false;
    bool stopping_ = false;
    bool looked_early_ = false;  // a condition changed since the timer's last look, and was looked at
    Handover handover_ = Handover::kNone;
    SteadyTime handover_until_{};
    SystemTime since_{};
    std::string local_path_error_;
    std::vector<FrrFinding> frr_findings_;
    std::string frr_error_ = "not read yet";  // why the running configuration is not known
    asio::steady_timer look_timer_;
    asio::steady_timer refresh_timer_;
    asio::steady_timer wake_timer_;
    asio::steady_timer pause_timer_;
    asio::steady_timer frr_timer_;
    Subscription health_;
    Subscription frr_;
    Subscription handovers_;
};

}  // namespace nett::anycast
