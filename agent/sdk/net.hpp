// The kernel's links, addresses and routes, through rtnetlink (agent/net, libnl). Calls are synchronous and short.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/subscription.hpp"

namespace nett {

struct Link {
    int index = 0;
    std::string name;
    bool up = false;       // IFF_UP
    bool carrier = false;  // IFF_LOWER_UP
    std::string mac;       // "aa:bb:cc:dd:ee:ff"; empty for links without one
    // The bridge, bond or the like that takes this link's packets: such a link is no L3 port. Empty: the link's own
    // addresses count (also within a VRF).
    std::string upper = {};
    friend bool operator==(const Link&, const Link&) = default;
};

// An IPv6 address with its remaining lifetimes; nullopt is forever (RFC 4862 section 5.5.4).
struct LinkAddress {
    InterfaceAddress address;
    std::optional<std::chrono::seconds> valid_lifetime;
    std::optional<std::chrono::seconds> preferred_lifetime;
    // Changed since it was added (the kernel keeps both times): routing daemons take it for a new one.
    bool replaced = false;
};

// A neighbour cache entry (RFC 4861 section 5.1).
struct Neighbour {
    std::string interface;
    Address6 address;
    std::string mac;
    std::string state;  // "reachable", "stale", …
};

// Loop thread only. Owned by the host. Errors: kNotFound no such link, kPermissionDenied without CAP_NET_ADMIN,
// kInternal with the kernel's own words otherwise.
class Net {
public:
    virtual ~Net() = default;

    virtual std::vector<Link> links() const = 0;
    virtual std::optional<Link> link(std::string_view name) const = 0;
    // Told after any link appeared, disappeared, was renamed or changed up/carrier.
    [[nodiscard]] virtual Subscription observe_links(std::function<void()> observer) = 0;

    // Told the link's index after IPv6 addresses of it were added, changed or removed, by whomever; 0 when events were
    // lost, so that it may be any link.
    [[nodiscard]] virtual Subscription observe_addresses(std::function<void(int link)> observer) = 0;

    virtual Result<std::vector<LinkAddress>> addresses(std::string_view interface) const = 0;
    // Adds the address or refreshes its lifetimes (NLM_F_REPLACE). With `no_dad` it is usable at once (IFA_F_NODAD).
    virtual Result<void> put_address(std::string_view interface, const LinkAddress& address, bool no_dad) = 0;
    // No error when it is already absent.
    virtual Result<void> remove_address(std::string_view interface, const InterfaceAddress& address) = 0;

    // An unreachable-by-silence route that anchors an aggregate for BGP (RTN_BLACKHOLE, protocol static, metric
    // kAggregateMetric).
    virtual Result<void> put_blackhole(const Prefix6& prefix) = 0;
    virtual Result<void> remove_blackhole(const Prefix6& prefix) = 0;
    virtual Result<bool> has_blackhole(const Prefix6& prefix) const = 0;

    virtual Result<std::vector<Neighbour>> neighbours(std::string_view interface) const = 0;
};

}  // namespace nett
