// Which prefixes are stably there. Pure.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/fabric/prefix.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/route.hpp"

namespace nett {

// A prefix counts once it has been there without a break for the stable time, and counts until it has been gone for
// that time. A new next hop on the same port is no break; another port is another prefix.
class PrefixTracker {
public:
    explicit PrefixTracker(std::chrono::seconds stable_time) : stable_time_(stable_time) {}

    // What has not changed its state meanwhile is measured with the new time.
    void set_stable_time(std::chrono::seconds stable_time) { stable_time_ = stable_time; }

    // The routes as they are now. True: stable() has changed.
    bool observe(SteadyTime now, const std::vector<PortRoute>& routes);
    // Time has passed. True: stable() has changed.
    bool advance(SteadyTime now);
    // When advance() has something to do; nullopt: not before the next observe().
    std::optional<SteadyTime> next_deadline() const;

    // Sorted by interface and prefix.
    std::vector<PortRoute> stable() const;

private:
    struct State {
        Address6 next_hop;
        bool present = true;
        bool stable = false;
        SteadyTime since{};  // of `present`
    };
    using Key = std::pair<std::string, Prefix6>;

    bool is_due(const State& state, SteadyTime now) const;

    std::chrono::seconds stable_time_;
    std::map<Key, State> states_;
};

// The routes that can be a machine's prefix: not the default route, not multicast, no more than kMaxPrefixesPerPort of
// each port.
std::vector<PortRoute> machine_routes(const std::vector<PortRoute>& routes);

}  // namespace nett
