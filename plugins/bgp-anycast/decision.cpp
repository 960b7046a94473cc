#include "plugins/bgp-anycast/decision.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace nett::anycast {

Verdict judge(const std::vector<HealthCondition>& conditions, const std::set<std::string>& required) {
    Verdict verdict;
    std::set<std::string> heard;
    std::vector<std::string> failed;
    for (const HealthCondition& condition : conditions) {
        std::string what = fmt::format("{}/{}: {}", condition.component, condition.name, condition.message);
        if (condition.scope == HealthScope::kShared && condition.state != HealthState::kOk)
            verdict.shared.push_back(what);
        if (condition.scope != HealthScope::kLocal) continue;
        if (!required.empty() && !required.contains(condition.component)) continue;
        heard.insert(condition.component);
        if (condition.state == HealthState::kFailed) failed.push_back(what);
    }
    for (const std::string& component : required) {
        if (!heard.contains(component)) failed.push_back(fmt::format("{} does not report its health", component));
    }
    if (!failed.empty()) {
        verdict.reason = fmt::format("{}", fmt::join(failed, "; "));
    } else if (heard.empty()) {
        verdict.reason = "no component reports its health";
    } else {
        verdict.healthy = true;
        verdict.reason = fmt::format("{} healthy", fmt::join(heard, ", "));
    }
    return verdict;
}

std::chrono::seconds Decision::hold_down(SteadyTime now) const {
    if (announce_ || now >= held_until_) return std::chrono::seconds(0);
    return std::chrono::ceil<std::chrono::seconds>(held_until_ - now);
}

void Decision::withdraw(const std::string& reason, SteadyTime now) {
    announce_ = false;
    reason_ = reason;
    bool flapping = last_withdrawal_ != SteadyTime{} && now - last_withdrawal_ < kFlapMemory;
    flaps_ = flapping ? flaps_ + 1 : 0;
    last_withdrawal_ = now;
    if (flaps_ == 0) return;
    int doublings = std::min(flaps_ - 1, 5);  // 5 s · 2^5 is the longest
    held_until_ = now + std::min(kFirstHoldDown * (1 << doublings), kLongestHoldDown);
}

bool Decision::check(const Verdict& verdict, SteadyTime now) {
    if (verdict.healthy) {
        good_ = std::min(good_ + 1, rise_);
        bad_ = 0;
        if (announce_) {
            reason_ = verdict.reason;
            return false;
        }
        if (good_ < rise_) return false;
        if (now < held_until_) {
            reason_ = fmt::format("healthy, held down for {} s after flapping", hold_down(now).count());
            return false;
        }
        announce_ = true;
        reason_ = verdict.reason;
        return true;
    }
    good_ = 0;
    bad_ = std::min(bad_ + 1, fall_);
    if (!announce_) {
        reason_ = verdict.reason;
        return false;
    }
    if (bad_ < fall_) return false;
    withdraw(verdict.reason, now);
    return true;
}

}  // namespace nett::anycast
