// Keeps what a peer can provoke from flooding the log.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "agent/sdk/clock.hpp"

namespace nett::metadata {

// At most one line in kInterval. Thread-safe.
class LogLimiter {
public:
    static constexpr std::chrono::seconds kInterval{1};

    // How many were held back since the last line, when this one may be written; nullopt when it may not.
    std::optional<std::uint64_t> admit(SteadyTime now) {
        const std::lock_guard lock(mutex_);
        if (now < next_) {
            ++held_back_;
            return std::nullopt;
        }
        next_ = now + kInterval;
        return std::exchange(held_back_, 0);
    }

private:
    std::mutex mutex_;
    SteadyTime next_{};
    std::uint64_t held_back_ = 0;
};

}  // namespace nett::metadata
