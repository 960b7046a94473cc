#include "agent/net/net.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include "agent/net/address_watch.hpp"
#include "agent/net/link_watch.hpp"
#include "agent/net/netlink.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {
namespace {

constexpr std::uint32_t kForever = 0xffffffff;

std::optional<std::chrono::seconds> lifetime_of(std::uint32_t value) {
    if (value == kForever) return std::nullopt;
    return std::chrono::seconds(value);
}

std::uint32_t lifetime_value(const std::optional<std::chrono::seconds>& lifetime) {
    if (!lifetime) return kForever;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(lifetime->count(), 0, kForever - 1));
}

// Collects RTM_NEWADDR messages of a dump; the kernel has filtered by interface already.
int collect_address(nl_msg* message, void* argument) {
    auto& addresses = *static_cast<std::vector<LinkAddress>*>(argument);
    nlmsghdr* header = nlmsg_hdr(message);
    if (header->nlmsg_type != RTM_NEWADDR) return NL_OK;
    auto* info = static_cast<ifaddrmsg*>(nlmsg_data(header));
    std::array<nlattr*, IFA_MAX + 1> attributes{};
    if (nlmsg_parse(header, sizeof(*info), attributes.data(), IFA_MAX, nullptr) < 0) return NL_OK;
    nlattr* local = attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    Address6::bytes_type bytes{};
    if (local == nullptr || nla_len(local) != static_cast<int>(bytes.size())) return NL_OK;
    std::memcpy(bytes.data(), nla_data(local), bytes.size());
    LinkAddress entry;
    entry.address = InterfaceAddress{Address6(bytes), info->ifa_prefixlen};
    if (nlattr* cache = attributes[IFA_CACHEINFO]; cache != nullptr && nla_len(cache) >= int(sizeof(ifa_cacheinfo))) {
        ifa_cacheinfo lifetimes{};
        std::memcpy(&lifetimes, nla_data(cache), sizeof(lifetimes));
        entry.valid_lifetime = lifetime_of(lifetimes.ifa_valid);
        entry.preferred_lifetime = lifetime_of(lifetimes.ifa_prefered);
        entry.replaced = lifetimes.tstamp != lifetimes.cstamp;
    }
    addresses.push_back(entry);
    return NL_OK;
}

// What a dump has to find: one blackhole of ours.
struct WantedRoute {
    Prefix6 prefix;
    bool found = false;
};

int find_blackhole(nl_msg* message, void* argument) {
    auto& wanted = *static_cast<WantedRoute*>(argument);
    nlmsghdr* header = nlmsg_hdr(message);
    if (header->nlmsg_type != RTM_NEWROUTE) return NL_OK;
    auto* info = static_cast<rtmsg*>(nlmsg_data(header));
    std::array<nlattr*, RTA_MAX + 1> attributes{};
    if (info->rtm_type != RTN_BLACKHOLE || info->rtm_dst_len != wanted.prefix.length()) return NL_OK;
    if (nlmsg_parse(header, sizeof(*info), attributes.data(), RTA_MAX, nullptr) < 0) return NL_OK;
    Address6::bytes_type bytes{};
    if (nlattr* to = attributes[RTA_DST]; to != nullptr && nla_len(to) == static_cast<int>(bytes.size()))
        std::memcpy(bytes.data(), nla_data(to), bytes.size());
    bool ours = attributes[RTA_PRIORITY] != nullptr && nla_get_u32(attributes[RTA_PRIORITY]) == kAggregateMetric;
    if (ours && Address6(bytes) == wanted.prefix.address()) wanted.found = true;
    return NL_OK;
}

std::string neighbour_state(int state) {
    std::array<char, 64> text{};
    return to_lower(rtnl_neigh_state2str(state, text.data(), text.size()));
}

class KernelNet final : public Net {
public:
    KernelNet(std::shared_ptr<LinkWatch> watch, std::shared_ptr<AddressWatch> addresses, netlink::Socket socket,
              netlink::Socket strict)
        : watch_(std::move(watch)),
          address_watch_(std::move(addresses)),
          socket_(std::move(socket)),
          strict_(std::move(strict)) {}
    ~KernelNet() override {
        watch_->close();
        address_watch_->close();
    }

    std::vector<Link> links() const override { return watch_->links(); }

    std::optional<Link> link(std::string_view name) const override {
        for (const Link& link : watch_->links()) {
            if (link.name == name) return link;
        }
        return std::nullopt;
    }

    Subscription observe_links(std::function<void()> observer) override { return watch_->observe(std::move(observer)); }

    Subscription observe_addresses(std::function<void(int)> observer) override {
        return address_watch_->observe(std::move(observer));
    }

    Result<std::vector<LinkAddress>> addresses(std::string_view interface) const override {
        auto index = index_of(interface);
        if (!index) return fail(std::move(index.error()));
        netlink::Message message(nlmsg_alloc_simple(RTM_GETADDR, NLM_F_DUMP));
        ifaddrmsg request{};
        request.ifa_family = AF_INET6;
        request.ifa_index = *index;
        if (!message || nlmsg_append(message.get(), &request, sizeof(request), NLMSG_ALIGNTO) < 0) {
            return fail(Code::kResourceExhausted, "no memory for a netlink message");
        }
        std::vector<LinkAddress> result;
        int code = dump(message.get(), collect_address, &result);
        if (code < 0) return fail(netlink::error_of(code, std::string(interface) + ": reading addresses"));
        return result;
    }

    Result<void> put_address(std::string_view interface, const LinkAddress& address, bool no_dad) override {
        auto object = address_object(interface, address.address);
        if (!object) return fail(std::move(object.error()));
        rtnl_addr* raw = object->get();
        rtnl_addr_set_valid_lifetime(raw, lifetime_value(address.valid_lifetime));
        rtnl_addr_set_preferred_lifetime(raw, lifetime_value(address.preferred_lifetime));
        if (no_dad) rtnl_addr_set_flags(raw, IFA_F_NODAD);
        int code = rtnl_addr_add(socket_.get(), raw, NLM_F_CREATE | NLM_F_REPLACE);
        if (code < 0) return fail(netlink::error_of(code, place(interface, address.address)));
        return {};
    }

    Result<void> remove_address(std::string_view interface, const InterfaceAddress& address) override {
        auto object = address_object(interface, address);
        if (!object) {
            if (object.error().code == Code::kNotFound) return {};  // the link is gone, its addresses with it
            return fail(std::move(object.error()));
        }
        int code = rtnl_addr_delete(socket_.get(), object->get(), 0);
        if (code < 0 && code != -NLE_NOADDR && code != -NLE_OBJ_NOTFOUND) {
            return fail(netlink::error_of(code, place(interface, address)));
        }
        return {};
    }

    Result<void> put_blackhole(const Prefix6& prefix) override {
        auto route = blackhole(prefix);
        int code = rtnl_route_add(socket_.get(), route.get(), NLM_F_CREATE | NLM_F_REPLACE);
        if (code < 0) return fail(netlink::error_of(code, "blackhole " + prefix.to_string()));
        return {};
    }

    Result<void> remove_blackhole(const Prefix6& prefix) override {
        auto route = blackhole(prefix);
        int code = rtnl_route_delete(socket_.get(), route.get(), 0);
        if (code < 0 && code != -NLE_OBJ_NOTFOUND) {
            return fail(netlink::error_of(code, "blackhole " + prefix.to_string()));
        }
        return {};
    }

    Result<bool> has_blackhole(const Prefix6& prefix) const override {
        netlink::Message message(nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_DUMP));
        rtmsg request{};
        request.rtm_family = AF_INET6;
        request.rtm_table = RT_TABLE_MAIN;
        request.rtm_protocol = RTPROT_STATIC;
        request.rtm_type = RTN_BLACKHOLE;
        if (!message || nlmsg_append(message.get(), &request, sizeof(request), NLMSG_ALIGNTO) < 0) {
            return fail(Code::kResourceExhausted, "no memory for a netlink message");
        }
        WantedRoute wanted{prefix};
        int code = dump(message.get(), find_blackhole, &wanted);
        if (code < 0 && code != -NLE_OBJ_NOTFOUND) return fail(netlink::error_of(code, "reading routes"));
        return wanted.found;
    }

    Result<std::vector<Neighbour>> neighbours(std::string_view interface) const override {
        auto index = index_of(interface);
        if (!index) return fail(std::move(index.error()));
        nl_cache* raw = nullptr;
        int code = rtnl_neigh_alloc_cache(socket_.get(), &raw);
        if (code < 0) return fail(netlink::error_of(code, "reading neighbours"));
        netlink::Cache cache(raw);
        std::vector<Neighbour> result;
        for (nl_object* object = nl_cache_get_first(raw); object != nullptr; object = nl_cache_get_next(object)) {
            auto* entry = reinterpret_cast<rtnl_neigh*>(object);
            if (rtnl_neigh_get_ifindex(entry) != int(*index) || rtnl_neigh_get_family(entry) != AF_INET6) continue;
            Neighbour neighbour;
            neighbour.interface = std::string(interface);
            neighbour.address = netlink::to_address6(rtnl_neigh_get_dst(entry));
            if (nl_addr* mac = rtnl_neigh_get_lladdr(entry)) {
                std::array<char, 32> text{};
                neighbour.mac = nl_addr2str(mac, text.data(), text.size());
            }
            neighbour.state = neighbour_state(rtnl_neigh_get_state(entry));
            result.push_back(std::move(neighbour));
        }
        return result;
    }

private:
    static std::string place(std::string_view interface, const InterfaceAddress& address) {
        return std::string(interface) + ": address " + address.to_string();
    }

    // Asks the kernel, not the watch: a link that was made anew has another index before its event arrives.
    static Result<unsigned> index_of(std::string_view interface) {
        unsigned index = if_nametoindex(std::string(interface).c_str());
        if (index == 0) return fail(Code::kNotFound, "there is no interface {}", interface);
        return index;
    }

    static Result<netlink::LinkAddressObject> address_object(std::string_view interface,
                                                             const InterfaceAddress& address) {
        auto index = index_of(interface);
        if (!index) return fail(std::move(index.error()));
        netlink::LinkAddressObject object(rtnl_addr_alloc());
        auto local = netlink::address_of(address.address, address.length);
        if (!object || !local) return fail(Code::kResourceExhausted, "no memory for a netlink message");
        rtnl_addr_set_ifindex(object.get(), static_cast<int>(*index));
        rtnl_addr_set_family(object.get(), AF_INET6);
        if (int code = rtnl_addr_set_local(object.get(), local.get()); code < 0) {
            return fail(netlink::error_of(code, place(interface, address)));
        }
        return object;
    }

    static netlink::RouteObject blackhole(const Prefix6& prefix) {
        netlink::RouteObject route(rtnl_route_alloc());
        auto destination = netlink::address_of(prefix.address(), prefix.length());
        rtnl_route_set_family(route.get(), AF_INET6);
        rtnl_route_set_dst(route.get(), destination.get());
        rtnl_route_set_type(route.get(), RTN_BLACKHOLE);
        rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
        rtnl_route_set_protocol(route.get(), RTPROT_STATIC);
        rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
        rtnl_route_set_priority(route.get(), kAggregateMetric);
        return route;
    }

    // The kernel filters by what the request says. Returns libnl's code.
    int dump(nl_msg* request, nl_recvmsg_msg_cb_t collect, void* into) const {
        nl_socket_modify_cb(strict_.get(), NL_CB_VALID, NL_CB_CUSTOM, collect, into);
        int code = nl_send_auto(strict_.get(), request);
        return code < 0 ? code : nl_recvmsgs_default(strict_.get());
    }

    std::shared_ptr<LinkWatch> watch_;
    std::shared_ptr<AddressWatch> address_watch_;
    netlink::Socket socket_;
    netlink::Socket strict_;  // NETLINK_GET_STRICT_CHK: dumps filtered by the kernel; libnl's own dumps do not
                              // pass that check
};

}  // namespace

Result<std::unique_ptr<Net>> make_net(asio::any_io_executor loop) {
    auto watch = LinkWatch::open(loop);
    if (!watch) return fail(std::move(watch.error()));
    auto addresses = AddressWatch::open(loop);
    if (!addresses) return fail(std::move(addresses.error()));
    auto socket = netlink::open_route_socket();
    if (!socket) return fail(std::move(socket.error()));
    auto strict = netlink::open_route_socket();
    if (!strict) return fail(std::move(strict.error()));
    int on = 1;
    if (setsockopt(nl_socket_get_fd(strict->get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0) {
        return fail(Code::kUnimplemented, "this kernel cannot filter netlink dumps (Linux 4.20 or later is needed)");
    }
    return std::make_unique<KernelNet>(std::move(*watch), std::move(*addresses), std::move(*socket),
                                       std::move(*strict));
}

}  // namespace nett
