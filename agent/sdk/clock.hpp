// Time, injected: unit tests have no wall clock.
#pragma once

#include <chrono>

namespace nett {

using SteadyTime = std::chrono::steady_clock::time_point;
using SystemTime = std::chrono::system_clock::time_point;

// Thread-safe. Owned by the host, outlives every plugin.
class Clock {
public:
    virtual ~Clock() = default;
    virtual SteadyTime steady_now() const = 0;
    virtual SystemTime system_now() const = 0;
};

// The real clock.
class RealClock final : public Clock {
public:
    SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
    SystemTime system_now() const override { return std::chrono::system_clock::now(); }
};

// A clock that a test moves.
class ManualClock final : public Clock {
public:
    SteadyTime steady_now() const override { return SteadyTime(offset_); }
    SystemTime system_now() const override { return SystemTime(std::chrono::seconds(1'700'000'000) + offset_); }
    void advance(std::chrono::steady_clock::duration by) { offset_ += by; }

private:
    std::chrono::steady_clock::duration offset_{std::chrono::hours(1)};
};

}  // namespace nett
