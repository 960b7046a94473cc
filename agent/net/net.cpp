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
    }
    addresses.push_back(entry);
    return NL_OK;
}

std::string neighbour_state(int state) {
    std::array<char, 64> text{};
    return to_lower(rtnl_neigh_state2str(state, text.data(), text.size()));
}

class KernelNet final : public Net {
public:
    KernelNet(std::shared_ptr<LinkWatch> watch, netlink::Socket socket, netlink::Socket strict)
        : watch_(std::move(watch)), socket_(std::move(socket)), strict_(std::move(strict)) {}
    ~KernelNet() override { watch_->close(); }

    std::vector<Link> links() const override { return watch_->links(); }

    std::optional<Link> link(std::string_view name) const override {
        for (const Link& link : watch_->links()) {
            if (link.name == name) return link;
        }
        return std::nullopt;
    }

    Subscription observe_links(std::function<void()> observer) override { return watch_->observe(std::move(observer)); }

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
        nl_socket_modify_cb(strict_.get(), NL_CB_VALID, NL_CB_CUSTOM, collect_address, &result);
        int code = nl_send_auto(strict_.get(), message.get());
        if (code >= 0) code = nl_recvmsgs_default(strict_.get());
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
        nl_cache* raw = nullptr;
        int code = rtnl_route_alloc_cache(socket_.get(), AF_INET6, 0, &raw);
        if (code < 0) return fail(netlink::error_of(code, "reading routes"));
        netlink::Cache cache(raw);
        for (nl_object* object = nl_cache_get_first(raw); object != nullptr; object = nl_cache_get_next(object)) {
            auto* route = reinterpret_cast<rtnl_route*>(object);
            nl_addr* destination = rtnl_route_get_dst(route);
            if (rtnl_route_get_type(route) == RTN_BLACKHOLE && rtnl_route_get_priority(route) == kAggregateMetric &&
                destination != nullptr && nl_addr_get_prefixlen(destination) == prefix.length() &&
                netlink::to_address6(destination) == prefix.address()) {
                return true;
            }
        }
        return false;
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

    std::shared_ptr<LinkWatch> watch_;
    netlink::Socket socket_;
    netlink::Socket strict_;  // NETLINK_GET_STRICT_CHK: address dumps filtered by the kernel; libnl's own dumps do not
                              // pass that check
};

}  // namespace

Result<std::unique_ptr<Net>> make_net(asio::any_io_executor loop) {
    auto watch = LinkWatch::open(loop);
    if (!watch) return fail(std::move(watch.error()));
    auto socket = netlink::open_route_socket();
    if (!socket) return fail(std::move(socket.error()));
    auto strict = netlink::open_route_socket();
    if (!strict) return fail(std::move(strict.error()));
    int on = 1;
    if (setsockopt(nl_socket_get_fd(strict->get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0) {
        return fail(Code::kUnimplemented, "this kernel cannot filter netlink dumps (Linux 4.20 or later is needed)");
    }
    return std::make_unique<KernelNet>(std::move(*watch), std::move(*socket), std::move(*strict));
}

}  // namespace nett
