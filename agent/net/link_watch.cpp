#include "agent/net/link_watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/sdk/log.hpp"

namespace nett {
namespace {

const Logger kLog("net");

std::string mac_of(rtnl_link* object) {
    nl_addr* address = rtnl_link_get_addr(object);
    if (address == nullptr || nl_addr_get_len(address) != 6) return {};
    std::array<char, 32> text{};
    return nl_addr2str(address, text.data(), text.size());
}

Link link_of(rtnl_link* object) {
    unsigned flags = rtnl_link_get_flags(object);
    Link link;
    link.index = rtnl_link_get_ifindex(object);
    if (const char* name = rtnl_link_get_name(object)) link.name = name;
    link.up = (flags & IFF_UP) != 0;
    link.carrier = (flags & IFF_LOWER_UP) != 0;
    link.mac = mac_of(object);
    return link;
}

// A port of a VRF stays an L3 port; one of a bridge, a bond or a team does not.
std::string upper_of(rtnl_link* object, nl_cache* all) {
    int master = rtnl_link_get_master(object);
    if (master <= 0) return {};
    std::unique_ptr<rtnl_link, FreeWith<rtnl_link_put>> upper(rtnl_link_get(all, master));
    if (!upper) return {};
    const char* kind = rtnl_link_get_type(upper.get());
    if (kind != nullptr && std::string_view(kind) == "vrf") return {};
    const char* name = rtnl_link_get_name(upper.get());
    return name == nullptr ? std::string() : std::string(name);
}

}  // namespace

LinkWatch::LinkWatch(asio::any_io_executor loop, netlink::Socket events, netlink::Socket requests)
    : events_(std::move(events)), requests_(std::move(requests)), descriptor_(loop) {}

Result<std::shared_ptr<LinkWatch>> LinkWatch::open(asio::any_io_executor loop) {
    auto events = netlink::open_route_socket();
    if (!events) return fail(std::move(events.error()));
    auto requests = netlink::open_route_socket();
    if (!requests) return fail(std::move(requests.error()));
    if (int code = nl_socket_add_membership(events->get(), RTNLGRP_LINK); code < 0) {
        return fail(netlink::error_of(code, "subscribing to link events"));
    }
    std::shared_ptr<LinkWatch> watch(new LinkWatch(loop, std::move(*events), std::move(*requests)));
    int descriptor = fcntl(nl_socket_get_fd(watch->events_.get()), F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0) return fail(Code::kResourceExhausted, "netlink socket: {}", std::strerror(errno));
    watch->descriptor_.assign(descriptor);
    // Subscribed before the first dump: nothing is missed between the two.
    auto links = watch->dump();
    if (!links) return fail(std::move(links.error()));
    watch->links_ = std::move(*links);
    watch->wait();
    return watch;
}

void LinkWatch::wait() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [weak = weak_from_this()](const boost::system::error_code& error) {
                               if (auto self = weak.lock(); self && !error) self->on_readable();
                           });
}

void LinkWatch::on_readable() {
    // The contents do not matter: state is read by the dump below. ENOBUFS means that events were lost, which is the
    // same.
    std::array<char, 32768> buffer;
    while (recv(descriptor_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0 || errno == ENOBUFS ||
           errno == EINTR) {
    }
    auto links = dump();
    if (!links) {
        kLog.warning("cannot read the links; the next link event tries again", {{"error", links.error()}});
    } else if (*links != links_) {
        links_ = std::move(*links);
        auto observers = observers_;  // an observer may drop itself or others
        for (auto& [id, observer] : observers) {
            if (observers_.contains(id)) observer();
        }
    }
    if (descriptor_.is_open()) wait();
}

Result<std::vector<Link>> LinkWatch::dump() {
    nl_cache* raw = nullptr;
    if (int code = rtnl_link_alloc_cache(requests_.get(), AF_UNSPEC, &raw); code < 0) {
        return fail(netlink::error_of(code, "reading the links"));
    }
    netlink::Cache cache(raw);
    std::vector<Link> links;
    for (nl_object* object = nl_cache_get_first(raw); object != nullptr; object = nl_cache_get_next(object)) {
        auto* entry = reinterpret_cast<rtnl_link*>(object);
        links.push_back(link_of(entry));
        links.back().upper = upper_of(entry, raw);
    }
    std::sort(links.begin(), links.end(), [](const Link& a, const Link& b) { return a.index < b.index; });
    return links;
}

Subscription LinkWatch::observe(std::function<void()> observer) {
    int id = next_observer_++;
    observers_.emplace(id, std::move(observer));
    return Subscription([weak = weak_from_this(), id] {
        if (auto self = weak.lock()) self->observers_.erase(id);
    });
}

void LinkWatch::close() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    observers_.clear();
}

}  // namespace nett
