// Health in, decisions over time, announcements out.
#pragma once

#include <memory>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/plugin.hpp"
#include "plugins/bgp-anycast/announcer.hpp"
#include "plugins/bgp-anycast/decision.hpp"

namespace nett::anycast {

// Loop thread only. Timers run from start() to stop().
class Service {
public:
    explicit Service(const Host& host);

    void start(Settings settings);
    void reconfigure(Settings settings);
    // Withdraws at once. Idempotent.
    void stop();

    // One look at the health. Called by the timer and whenever a condition changes.
    void check();
    Output show() const;
    bool announced() const { return announcer_.announced(); }

private:
    void arm_check();
    void arm_refresh();
    void report_health();

    const Host& host_;
    Settings settings_;
    Decision decision_{2, 2};
    Announcer announcer_;
    bool running_ = false;
    bool looked_early_ = false;  // a condition changed since the timer's last check, and was looked at
    SystemTime since_{};
    std::vector<std::string> shared_;
    asio::steady_timer check_timer_;
    asio::steady_timer refresh_timer_;
    Subscription health_;
};

}  // namespace nett::anycast
