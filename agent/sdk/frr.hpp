// What plugins may ask of FRRouting: desired state in, reconciled level-triggered by one writer (agent/frr).
//
// A plugin declares what it wants; the adapter compares with what the daemons really have, programs the difference in
// one batch, and repeats after restarts and edits by others. Nothing here blocks: an unreachable daemon is a health
// condition
// ("frr/zebra"), and the declaration is applied when it is back.
// YANG: frr-interface.yang + frr-zebra.yang (ipv6-router-advertisements, FRR >= 10.0), frr-filter.yang (prefix lists).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/subscription.hpp"

namespace nett {

// RFC 4861 section 4.6.2. Lifetimes in whole seconds. Valid lifetime 0: not there, at once and without a farewell.
struct RaPrefix {
    Prefix6 prefix;
    std::chrono::seconds valid_lifetime{600};
    std::chrono::seconds preferred_lifetime{300};
    friend bool operator==(const RaPrefix&, const RaPrefix&) = default;
};

// RFC 8106 section 5.1.
struct RaDnsServer {
    Address6 address;
    std::chrono::seconds lifetime{600};
    friend bool operator==(const RaDnsServer&, const RaDnsServer&) = default;
};

// RFC 4191 section 2.1.
enum class RouterPreference { kHigh, kMedium, kLow };

// Router advertisements of one interface: /frr-interface:lib/interface[name]/frr-zebra:zebra/ipv6-router-advertisements
struct RaInterface {
    std::string name;
    std::chrono::milliseconds max_interval{10'000};
    std::chrono::seconds router_lifetime{30};
    RouterPreference preference = RouterPreference::kMedium;
    std::optional<std::uint32_t> mtu;
    bool managed = false;       // M flag: makes iPXE wait for DHCPv6, never set it on a bootstrap port
    bool other_config = false;  // O flag: the same
    std::vector<RaPrefix> prefixes;
    std::vector<RaDnsServer> dns_servers;
    friend bool operator==(const RaInterface&, const RaInterface&) = default;
};

// One entry of an IPv6 prefix list of bgpd: /frr-filter:lib/prefix-list[type="ipv6"][name]/entry[sequence]
struct PrefixListEntry {
    std::string list;
    std::uint32_t sequence = 5;
    bool permit = true;
    Prefix6 prefix;
    friend bool operator==(const PrefixListEntry&, const PrefixListEntry&) = default;
};

enum class FrrDaemon { kZebra, kBgpd };
std::string_view to_string(FrrDaemon daemon);

// Something that had been programmed and was found lost or changed: by an edit in vtysh, a reload, a daemon's restart.
struct FrrDrift {
    FrrDaemon daemon = FrrDaemon::kZebra;
    std::string subject;     // the interface or prefix list; "" when many differ at once, as after a restart
    std::string difference;  // "interval 600 s instead of 10 s, prefix 2001:db8:b001::/64 missing"
    SystemTime time{};       // when it was repaired
};
// How many of them are remembered: a page or two of what an operator looks at.
inline constexpr std::size_t kMaxDriftRecords = 64;

// A prefix that is no longer declared is advertised with preferred lifetime 0 for this many intervals, then removed.
// FRR advertises any global address of such an interface by itself: whoever put one there takes it away before that.
inline constexpr int kRaDeprecationIntervals = 3;

struct FrrDaemonStatus {
    bool configured = false;  // a target is configured and a plugin has declared something for it
    bool connected = false;
    bool hardened = true;  // false: the stock gRPC module, which agent/frr works around (docs/frr.md)
    bool in_sync = false;  // the last reconcile found or made desired == actual
    std::string backend;   // "grpc" or "vtysh"
    std::string error;     // why not connected or not in sync
    std::uint64_t reconciles = 0;
    std::uint64_t repairs = 0;  // reconciles that found drift and programmed something
    SteadyTime last_reconcile{};
};

// Loop thread only. Owned by the host.
class Frr {
public:
    virtual ~Frr() = default;

    // Replaces what `owner` wants of zebra's RA. An interface no longer declared loses its prefixes (advertised with
    // preferred lifetime 0 for some intervals first) and its RA. An empty list withdraws everything of this owner.
    virtual void declare_ra(std::string owner, std::vector<RaInterface> desired) = 0;
    // Replaces the prefix-list entries `owner` wants in bgpd; entries it wanted before and no longer does are deleted.
    // Takes effect at once (66 ms to a peer's FIB), not at the next tick.
    virtual void declare_prefix_list(std::string owner, std::vector<PrefixListEntry> desired) = 0;
    // Declares nothing any more for the owner, and forgets it once the last of its advertisements has left properly:
    // for an owner that goes. If the process ends before that, zebra keeps on saying the farewell: preferred lifetime
    // 0, router lifetime 0.
    virtual void withdraw(std::string owner) = 0;
    // Forgets the owner and leaves what is programmed as it is: a restart of the agent must not disturb the fabric.
    virtual void release(std::string owner) = 0;

    virtual FrrDaemonStatus status(FrrDaemon daemon) const = 0;
    // What was repaired, oldest first, at most kMaxDriftRecords.
    virtual std::vector<FrrDrift> drift() const = 0;
    // Told after each reconcile of a daemon that changed its status or repaired something.
    [[nodiscard]] virtual Subscription observe(std::function<void(FrrDaemon)> observer) = 0;

    // Runs `vtysh -c "<command> json"` and returns its JSON text: for reading BGP state, which the northbound does not
    // have.
    virtual Awaitable<Result<std::string>> show_json(std::string command) = 0;
    // The same for a show command that has no JSON: "show running-config bgpd no-header".
    virtual Awaitable<Result<std::string>> show_text(std::string command) = 0;
};

}  // namespace nett
