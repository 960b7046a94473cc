#include "agent/net/address_watch.hpp"

#include <cerrno>
#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nett {
namespace {

// The kernel sends each event by itself, well below this.
constexpr std::size_t kBuffer = 32768;
// Room for the events of some thousand addresses at once; more are lost, which costs one look at all links.
constexpr int kEventBuffer = 1 << 20;
// Events taken at once: others have their turn between.
constexpr int kBurst = 1024;

}  // namespace

AddressWatch::AddressWatch(asio::any_io_executor loop) : descriptor_(loop), buffer_(kBuffer) {}

Result<std::shared_ptr<AddressWatch>> AddressWatch::open(asio::any_io_executor loop) {
    std::shared_ptr<AddressWatch> watch(new AddressWatch(loop));
    int descriptor = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (descriptor < 0) return fail(Code::kResourceExhausted, "netlink socket: {}", std::strerror(errno));
    watch->descriptor_.assign(descriptor);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_IPV6_IFADDR;
    if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return fail(Code::kInternal, "subscribing to address events: {}", std::strerror(errno));
    // Less room is no error: lost events are noticed.
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &kEventBuffer, sizeof(kEventBuffer));
    watch->wait();
    return watch;
}

void AddressWatch::wait() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [weak = weak_from_this()](const boost::system::error_code& error) {
                               if (auto self = weak.lock(); self && !error) self->on_readable();
                           });
}

void AddressWatch::collect(int size, std::set<int>& links) const {
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
        bool address = message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR;
        if (!address || message->nlmsg_len < NLMSG_LENGTH(sizeof(ifaddrmsg))) continue;
        links.insert(static_cast<int>(static_cast<const ifaddrmsg*>(NLMSG_DATA(message))->ifa_index));
    }
}

void AddressWatch::on_readable() {
    std::set<int> links;
    for (int i = 0; i < kBurst; ++i) {
        auto size = ::recv(descriptor_.native_handle(), buffer_.data(), buffer_.size(), 0);
        if (size < 0 && errno == ENOBUFS) links.insert(0);
        if (size < 0 && errno != ENOBUFS && errno != EINTR) break;
        if (size > 0) collect(static_cast<int>(size), links);
    }
    auto observers = observers_;  // an observer may drop itself or others
    for (int link : links) {
        for (auto& [id, observer] : observers) {
            if (observers_.contains(id)) observer(link);
        }
    }
    if (descriptor_.is_open()) wait();
}

Subscription AddressWatch::observe(std::function<void(int link)> observer) {
    int id = next_observer_++;
    observers_.emplace(id, std::move(observer));
    return Subscription([weak = weak_from_this(), id] {
        if (auto self = weak.lock()) self->observers_.erase(id);
    });
}

void AddressWatch::close() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    observers_.clear();
}

}  // namespace nett
