// The kernel's side of the ports: prefix::1/64 on each of them, and the aggregate's blackhole route.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/net.hpp"
#include "plugins/ra/allocation.hpp"
#include "plugins/ra/settings.hpp"

namespace nett::ra {

// A prefix that leaves is advertised as deprecated for kRaDeprecationIntervals; the address, and with it the way back
// to machines that still use it, goes one interval earlier: with the address alone FRR would advertise it for 30 days.
inline constexpr int kAddressIntervals = kRaDeprecationIntervals - 1;

// Events tell which addresses change; this is for events that never came.
inline constexpr std::chrono::seconds kFullLook{30};

// Something of ours that other hands had taken away from the kernel.
struct KernelDrift {
    std::string port;  // "" is the aggregate
    std::string difference;
};

// Loop thread only. Level-triggered: put() makes it so, whatever happened in between.
class KernelState {
public:
    KernelState(Net& net, const Clock& clock) : net_(net), clock_(clock) {}

    // The step from one set of records to the next; nothing is done before put().
    void replace(const PortRecords& before, const PortRecords& now, const Settings& settings);
    // Links appeared, vanished, were renamed or went up or down: what is missing now was not taken by other hands, and
    // an address may have come along with a renamed link.
    void links_changed();
    // Somebody changed addresses of this link; 0 is any. Looked at by the next put().
    void addresses_changed(int link);
    // Looks at the ports that are not known to be as they should, and at every port once in kFullLook: events tell of
    // the others. Addresses come once zebra has had their port's prefix (`zebra_in_sync` once is enough), and what left
    // goes then.
    std::vector<KernelDrift> put(const PortRecords& records, const Settings& settings, bool zebra_in_sync);
    // Takes everything away: addresses when their deprecation is nearly over, the aggregate at once.
    void withdraw(const PortRecords& records, const Settings& settings);
    // What must not be left undone by an agent that ends.
    void finish(const Settings& settings);

    // Ports whose address others have replaced by the same one; put() leaves them to Service::repair_replaced().
    const std::set<std::string>& replaced() const { return replaced_; }
    // From now until resume() put() gives these ports no address.
    void set_aside(const std::set<std::string>& ports);
    // Takes the address of those ports away.
    void clear_aside(const PortRecords& records);
    void resume();

    bool confirmed(const std::string& port) const { return confirmed_.contains(port); }
    // By port; "" is the aggregate.
    const std::map<std::string, std::string>& errors() const { return errors_; }

private:
    using PortAddress = std::pair<std::string, InterfaceAddress>;

    void let_leave(const PortAddress& entry, const PortRecords& records, const Settings& settings);
    void remove_misplaced(const PortRecords& records);
    void put_address(const Link& link, const PortRecord& record, std::vector<KernelDrift>& drift);
    Result<void> mend(const Link& link, const LinkAddress* found, const InterfaceAddress& address,
                      std::vector<KernelDrift>& drift);
    void put_aggregate(const Settings& settings, std::vector<KernelDrift>& drift);
    void remove_old_aggregates(const Settings& settings, bool all);

    Net& net_;
    const Clock& clock_;
    std::vector<PortAddress> leaving_;              // to take away once zebra is in sync
    std::map<Prefix6, SteadyTime> old_aggregates_;  // blackholes to remove, and when
    std::set<std::string> confirmed_;               // ports whose prefix zebra has had: their address may be there
    std::set<std::string> placed_;                  // ports that had their address since the links changed last
    std::set<std::string> replaced_;
    std::set<std::string> aside_;
    std::set<int> suspects_;            // links whose addresses somebody changed
    std::optional<SteadyTime> looked_;  // at every port
    std::optional<Prefix6> anchored_;   // the aggregate whose blackhole was there
    std::map<std::string, std::string> errors_;
    bool look_for_misplaced_ = true;
};

}  // namespace nett::ra
