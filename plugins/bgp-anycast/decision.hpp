// Whether the anycast address is announced: health conditions and time in, a decision with its reason out. Pure.
//
// Health moves the decision only after `rise` good or `fall` bad checks in a row. A server that is withdrawn again and
// again stays away longer each time: each withdrawal that follows the one before within kFlapMemory doubles the
// hold-down.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/health.hpp"

namespace nett::anycast {

inline constexpr std::chrono::seconds kFirstHoldDown{5};  // after the second withdrawal within kFlapMemory
inline constexpr std::chrono::seconds kLongestHoldDown{160};
inline constexpr std::chrono::minutes kFlapMemory{5};

// What the registry says about this server.
struct Verdict {
    bool healthy = false;
    std::string reason;               // why not, or what is well
    std::vector<std::string> shared;  // troubles that every server has: shown, they never withdraw
};

// `required` empty: every component that reports local conditions. A server that nothing vouches for is not healthy.
// Only kFailed counts: a degraded service is better than none.
Verdict judge(const std::vector<HealthCondition>& conditions, const std::set<std::string>& required);

class Decision {
public:
    Decision(int rise, int fall) : rise_(rise), fall_(fall) {}

    // One check. True when the decision changed.
    bool check(const Verdict& verdict, SteadyTime now);
    // New thresholds for what follows.
    void set_thresholds(int rise, int fall) {
        rise_ = rise;
        fall_ = fall;
    }

    bool announce() const { return announce_; }
    const std::string& reason() const { return reason_; }
    int good_checks() const { return good_; }
    int bad_checks() const { return bad_; }
    // How long a healthy server still stays away.
    std::chrono::seconds hold_down(SteadyTime now) const;

private:
    void withdraw(const std::string& reason, SteadyTime now);

    int rise_;
    int fall_;
    bool announce_ = false;  // default deny
    std::string reason_ = "not checked yet";
    int good_ = 0;  // in a row, at most rise_
    int bad_ = 0;   // in a row, at most fall_
    int flaps_ = 0;
    SteadyTime last_withdrawal_{};
    SteadyTime held_until_{};
};

}  // namespace nett::anycast
