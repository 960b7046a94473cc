#include "agent/net/route_message.hpp"

#include <cstring>

#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace nett {

namespace {

std::optional<Address6> address_of(const rtattr* attribute) {
    Address6::bytes_type bytes{};
    if (RTA_PAYLOAD(attribute) != bytes.size()) return std::nullopt;
    std::memcpy(bytes.data(), RTA_DATA(attribute), bytes.size());
    return Address6(bytes);
}

std::uint32_t number_of(const rtattr* attribute) {
    std::uint32_t value = 0;
    if (RTA_PAYLOAD(attribute) >= sizeof(value)) std::memcpy(&value, RTA_DATA(attribute), sizeof(value));
    return value;
}

// RTA_MULTIPATH: a list of rtnexthop, each with attributes of its own.
void add_hops(const rtattr* multipath, std::vector<RouteHop>& hops) {
    const auto* hop = static_cast<const rtnexthop*>(RTA_DATA(multipath));
    auto left = static_cast<int>(RTA_PAYLOAD(multipath));
    while (left >= static_cast<int>(sizeof(rtnexthop)) && hop->rtnh_len >= sizeof(rtnexthop) && hop->rtnh_len <= left) {
        auto length = static_cast<int>(hop->rtnh_len - sizeof(rtnexthop));
        const auto* attribute = RTNH_DATA(hop);
        for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length)) {
            if (attribute->rta_type != RTA_GATEWAY) continue;
            if (const auto gateway = address_of(attribute)) hops.push_back({hop->rtnh_ifindex, *gateway});
        }
        left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
        hop = RTNH_NEXT(hop);
    }
}

}  // namespace

std::optional<RouteMessage> parse_route(const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE) return std::nullopt;
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(rtmsg))) return std::nullopt;
    const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(message));
    if (route->rtm_family != AF_INET6 || route->rtm_type != RTN_UNICAST || route->rtm_dst_len > 128 ||
        (route->rtm_flags & RTM_F_CLONED) != 0) {
        return std::nullopt;
    }
    RouteMessage out;
    out.gone = message->nlmsg_type == RTM_DELROUTE;
    Address6 destination;
    std::uint32_t table = route->rtm_table;
    RouteHop single;
    bool has_gateway = false;
    auto length = static_cast<int>(RTM_PAYLOAD(message));
    for (const auto* attribute = RTM_RTA(route); RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length)) {
        switch (attribute->rta_type) {
            case RTA_DST:
                if (const auto address = address_of(attribute)) destination = *address;
                break;
            case RTA_TABLE:
                table = number_of(attribute);
                break;
            case RTA_OIF:
                single.interface = static_cast<int>(number_of(attribute));
                break;
            case RTA_GATEWAY:
                if (const auto address = address_of(attribute)) {
                    single.gateway = *address;
                    has_gateway = true;
                }
                break;
            case RTA_MULTIPATH:
                add_hops(attribute, out.hops);
                break;
            default:
                break;
        }
    }
    if (table != RT_TABLE_MAIN) return std::nullopt;
    if (has_gateway && single.interface != 0) out.hops.push_back(single);
    out.prefix = Prefix6(destination, route->rtm_dst_len);
    return out;
}

}  // namespace nett
