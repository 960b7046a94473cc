#include "plugins/bgp-anycast/check.hpp"

#include <algorithm>

namespace nett::anycast {

std::string_view to_string(CheckType type) {
    switch (type) {
        case CheckType::kTcp:
            return "tcp";
        case CheckType::kTls:
            return "tls";
        case CheckType::kHttp:
            return "http";
        case CheckType::kHttps:
            return "https";
        case CheckType::kExec:
            return "exec";
    }
    return "";
}

std::string_view to_string(CheckClass scope) {
    return scope == CheckClass::kLocal ? "local" : "shared";
}

std::string_view to_string(CheckState state) {
    switch (state) {
        case CheckState::kUnknown:
            return "unknown";
        case CheckState::kUp:
            return "up";
        case CheckState::kDown:
            return "down";
    }
    return "";
}

bool CheckTracker::add(const CheckResult& result) {
    message_ = result.message;
    good_ = result.good ? std::min(good_ + 1, rise_) : 0;
    bad_ = result.good ? 0 : std::min(bad_ + 1, fall_);
    CheckState before = state_;
    if (good_ >= rise_) state_ = CheckState::kUp;
    if (bad_ >= fall_) state_ = CheckState::kDown;
    return state_ != before;
}

bool CheckTracker::settled() const {
    if (state_ == CheckState::kUp) return bad_ == 0;
    return state_ == CheckState::kDown && good_ == 0;
}

std::string CheckTracker::progress() const {
    return fmt::format("{} of {} good results", good_, rise_);
}

std::chrono::milliseconds next_delay(const CheckSettings& settings, bool settled, double random) {
    auto base = settled ? settings.interval : std::min(settings.fast_interval, settings.interval);
    auto splay = static_cast<double>(base.count()) * settings.splay_percent / 100.0 * random;
    return base + std::chrono::milliseconds(static_cast<std::int64_t>(splay));
}

}  // namespace nett::anycast
