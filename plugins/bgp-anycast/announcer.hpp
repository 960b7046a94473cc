// Carries the decision out with everything that can: the address in the kernel, on a device that dies with the agent,
// for the time of a lease; the gate and the drain in bgpd.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/plugin.hpp"
#include "plugins/bgp-anycast/decision.hpp"
#include "plugins/bgp-anycast/settings.hpp"
#include "plugins/bgp-anycast/tun_device.hpp"

namespace nett::anycast {

// Loop thread only.
//
// Each actuator has its own death to answer: the gate is the fastest while everything lives (66 ms to a peer's FIB);
// the TUN device vanishes with a killed agent; the lease ends for a hanging one. Together nothing leaves the address
// announced. Its preferred lifetime is 0 (deprecated, RFC 4862 section 5.5.4), so that this host never chooses an
// address that lives elsewhere too as the source of its own connections.
class Announcer {
public:
    Announcer(const Host& host, DeviceOpener open_device) : host_(host), open_device_(std::move(open_device)) {}

    // Moves an announcement to new settings without a gap when only the lease or the lists differ. The first call takes
    // away what an earlier run of the agent may have left.
    void configure(const Settings& settings);

    // Announced: address first, since the gate must not let out what cannot be served. Withdrawn: gate first, being the
    // fastest, and then the address, because otherwise this host would capture the connections of its own clients.
    void apply(Stance stance);
    // From announced to de-preferred in all but the community: the service lets go first, apply(kDePreferred) follows.
    void hold();
    bool drains() const { return stance_ == Stance::kDePreferred && !held_; }
    // Closes the gate and leaves the address for what is under way; apply(kWithdrawn) must follow.
    void close_gate();
    // Extends the lease, also puts back an address or a device that somebody removed. Call it three times a lease.
    void refresh();
    // The lease ran out since the last refresh: the kernel has taken the address.
    bool lease_lost() const;
    // Gives the device up. After apply(kWithdrawn).
    void release();

    Stance stance() const { return stance_; }
    const std::string& error() const { return error_; }  // why the kernel refused last, or ""
    SteadyTime refreshed() const { return refreshed_; }
    const std::string& device_error() const { return device_error_; }  // why there is no TUN device, or ""
    bool on_own_device() const { return device_ != nullptr; }
    // Where the address is or would be.
    const std::string& interface() const;

private:
    bool announced() const { return stance_ != Stance::kWithdrawn; }
    void put_lists();
    void put_address();
    void remove_address(const std::string& interface);
    void open_device();

    const Host& host_;
    DeviceOpener open_device_;
    Settings settings_;
    bool configured_ = false;
    Stance stance_ = Stance::kWithdrawn;
    bool gate_open_ = false;
    bool held_ = false;
    std::unique_ptr<Device> device_;
    std::string device_error_;
    std::string error_;
    SteadyTime refreshed_{};
};

}  // namespace nett::anycast
