// rtnetlink's route messages (rtnetlink(7)). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/sdk/address.hpp"

struct nlmsghdr;

namespace nett {

struct RouteHop {
    int interface = 0;  // index
    Address6 gateway;
    friend bool operator==(const RouteHop&, const RouteHop&) = default;
};

// An IPv6 unicast route of the main table.
struct RouteMessage {
    bool gone = false;  // RTM_DELROUTE
    Prefix6 prefix;
    std::vector<RouteHop> hops;  // those with an IPv6 gateway; a multipath route has several
};

// nullopt for any other message, also for one that is cut short. `message` has nlmsg_len readable bytes.
std::optional<RouteMessage> parse_route(const nlmsghdr* message);

}  // namespace nett
