// Carries the decision out: the address in the kernel, leased, and the gate in bgpd.
#pragma once

#include <optional>
#include <string>

#include "agent/sdk/plugin.hpp"
#include "plugins/bgp-anycast/settings.hpp"

namespace nett::anycast {

// Loop thread only.
//
// The address has a lifetime that only a living agent refreshes: when the agent dies or hangs, the kernel removes the
// address, zebra tells bgpd, and the fabric turns to another server. Its preferred lifetime is 0 (deprecated, RFC 4862
// section 5.5.4), so that this host never chooses an address that lives elsewhere too as the source of its own
// connections.
class Announcer {
public:
    explicit Announcer(const Host& host) : host_(host) {}

    // Moves an announcement to new settings without a gap when only the lease or the gate differ.
    void configure(const Settings& settings);

    // Address first: the gate must not let out what cannot be served.
    void announce();
    // Gate first: it is the fastest (66 ms to a peer's FIB), and then the address, because otherwise this host would
    // capture the connections of its own clients.
    void withdraw();
    // Extends the lease, also puts the address back that somebody removed. Call it three times a lease.
    void refresh();

    bool announced() const { return announced_; }
    const std::string& error() const { return error_; }  // why the kernel refused last, or ""
    SteadyTime refreshed() const { return refreshed_; }

private:
    void put_gate(bool permit);
    void put_address();
    void remove_address();

    const Host& host_;
    Settings settings_;
    bool configured_ = false;
    bool announced_ = false;
    std::string error_;
    SteadyTime refreshed_{};
};

}  // namespace nett::anycast
