// Routes of machines: what the kernel's main table reaches through the switch's ports.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/subscription.hpp"

namespace nett {

// A unicast route of the main table whose next hop is a link-local address behind `interface`: as BGP unnumbered makes
// them (RFC 8950, RFC 5549 for link-local next hops). A multipath route is one of these for each of its next hops.
struct PortRoute {
    std::string interface;
    Prefix6 prefix;
    Address6 next_hop;
    friend bool operator==(const PortRoute&, const PortRoute&) = default;
    friend bool operator<(const PortRoute& a, const PortRoute& b) {
        return std::tie(a.interface, a.prefix, a.next_hop) < std::tie(b.interface, b.prefix, b.next_hop);
    }
};

// Loop thread only.
class PortRoutes {
public:
    virtual ~PortRoutes() = default;

    // Whose routes are wanted. Names of links that do not exist yet are fine. Reads again, also with the same names.
    virtual void watch(std::set<std::string> interfaces) = 0;
    // Told the whole set, sorted, after each time it was read: soon after a change, and now and then without one.
    [[nodiscard]] virtual Subscription observe(std::function<void(const std::vector<PortRoute>&)> observer) = 0;
};

}  // namespace nett
