#include "agent/net/route_watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agent/net/route_message.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

namespace {

using Descriptor = asio::posix::stream_descriptor;

// The kernel's dumps come in messages of at most 32 KiB (netlink_dump, NLMSG_GOODSIZE).
constexpr std::size_t kBuffer = 65536;
// Room for the events of a convergence of some thousand routes; more are lost, which costs one more reading.
constexpr int kEventBuffer = 1 << 20;
// Datagrams taken at once: others have their turn between.
constexpr int kBurst = 64;

const Logger kLog("net");

Result<int> open_socket(unsigned groups) {
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return fail(Code::kResourceExhausted, "netlink socket: {}", std::strerror(errno));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = groups;
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const int number = errno;
        ::close(fd);
        return fail(Code::kInternal, "netlink socket: {}", std::strerror(number));
    }
    const int size = kEventBuffer;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return fd;
}

class RouteWatch : public std::enable_shared_from_this<RouteWatch> {
public:
    explicit RouteWatch(const asio::any_io_executor& loop)
        : events_(loop), dumps_(loop), pause_(loop), resync_(loop), buffer_(kBuffer) {}

    Result<void> open() {
        const auto events = open_socket(RTMGRP_IPV6_ROUTE);
        if (!events) return fail(events.error());
        events_.assign(*events);
        const auto dumps = open_socket(0);
        if (!dumps) return fail(dumps.error());
        dumps_.assign(*dumps);
        // Dumps of the main table only; an older kernel sends all, which the parser sorts out.
        const int on = 1;
        ::setsockopt(*dumps, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
        wait_event();
        wait_dump();
        wait_resync();
        return {};
    }

    void watch(std::set<std::string> interfaces) {
        // The same ones again are read again: links may have been made anew.
        wanted_ = std::move(interfaces);
        schedule();
    }

    Subscription observe(std::function<void(const std::vector<PortRoute>&)> observer) {
        const int id = next_observer_++;
        observers_.emplace(id, std::move(observer));
        return Subscription([weak = weak_from_this(), id] {
            if (auto self = weak.lock()) self->observers_.erase(id);
        });
    }

    void close() {
        boost::system::error_code ignored;
        events_.close(ignored);
        dumps_.close(ignored);
        pause_.cancel();
        resync_.cancel();
        observers_.clear();
    }

private:
    void wait_event() {
        events_.async_wait(Descriptor::wait_read, [weak = weak_from_this()](const boost::system::error_code& error) {
            if (auto self = weak.lock(); self && !error) self->on_events();
        });
    }

    void on_events() {
        for (int i = 0; i < kBurst; ++i) {
            const auto size = ::recv(events_.native_handle(), buffer_.data(), buffer_.size(), 0);
            if (size < 0 && errno == ENOBUFS) schedule();
            if (size < 0 && errno != ENOBUFS && errno != EINTR) break;
            if (size > 0 && concerns_us(static_cast<int>(size))) schedule();
        }
        if (events_.is_open()) wait_event();
    }

    bool concerns_us(int size) const {
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
        for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
            const auto route = parse_route(message);
            if (!route) continue;
            const bool wanted = std::any_of(route->hops.begin(), route->hops.end(),
                                            [&](const RouteHop& hop) { return names_.contains(hop.interface); });
            // A next hop that left a multipath route is in no event: the prefix tells.
            const bool known = std::any_of(routes_.begin(), routes_.end(),
                                           [&](const PortRoute& known) { return known.prefix == route->prefix; });
            if (wanted || known) return true;
        }
        return false;
    }

    // Reads soon; at once would be once for each route of a burst.
    void schedule() {
        if (std::exchange(scheduled_, true)) return;
        pause_.expires_after(kRouteReadPause);
        pause_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
            if (auto self = weak.lock(); self && !error) self->request();
        });
    }

    void wait_resync() {
        resync_.expires_after(kRouteResync);
        resync_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
            auto self = weak.lock();
            if (!self || error) return;
            self->reading_ = false;  // an answer that never came
            self->schedule();
            self->wait_resync();
        });
    }

    void request() {
        if (reading_) return;  // finish() looks again
        scheduled_ = false;
        names_.clear();
        for (const auto& name : wanted_) {
            if (const unsigned index = ::if_nametoindex(name.c_str())) names_.emplace(static_cast<int>(index), name);
        }
        found_.clear();
        if (names_.empty()) return finish();
        struct {
            nlmsghdr header;
            rtmsg route;
        } request{};
        request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.route));
        request.header.nlmsg_type = RTM_GETROUTE;
        request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.header.nlmsg_seq = ++sequence_;
        request.route.rtm_family = AF_INET6;
        request.route.rtm_table = RT_TABLE_MAIN;
        if (::send(dumps_.native_handle(), &request, request.header.nlmsg_len, 0) < 0) {
            kLog.warning("cannot ask for the routes; trying again", {{"error", std::strerror(errno)}});
            return;  // resync
        }
        reading_ = true;
    }

    void wait_dump() {
        dumps_.async_wait(Descriptor::wait_read, [weak = weak_from_this()](const boost::system::error_code& error) {
            if (auto self = weak.lock(); self && !error) self->on_dump();
        });
    }

    void on_dump() {
        for (int i = 0; i < kBurst; ++i) {
            const auto size = ::recv(dumps_.native_handle(), buffer_.data(), buffer_.size(), 0);
            if (size < 0 && errno == EINTR) continue;
            if (size <= 0) break;
            take(static_cast<int>(size));
        }
        if (dumps_.is_open()) wait_dump();
    }

    void take(int size) {
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
        for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
            if (message->nlmsg_seq != sequence_ || !reading_) continue;
            if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted_ = true;
            if (message->nlmsg_type == NLMSG_DONE) {
                reading_ = false;
                if (std::exchange(interrupted_, false))
                    return schedule();  // the table changed meanwhile: not one state
                return finish();
            }
            if (message->nlmsg_type == NLMSG_ERROR) {
                reading_ = false;
                kLog.warning("the kernel does not tell the routes; trying again");
                return;  // resync
            }
            add(message);
        }
    }

    void add(const nlmsghdr* message) {
        const auto route = parse_route(message);
        if (!route || route->gone) return;
        for (const auto& hop : route->hops) {
            const auto name = names_.find(hop.interface);
            if (name == names_.end() || !hop.gateway.is_link_local()) continue;
            found_.push_back({name->second, route->prefix, hop.gateway});
        }
    }

    void finish() {
        std::sort(found_.begin(), found_.end());
        found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
        routes_ = std::move(found_);
        const auto observers = observers_;  // an observer may drop itself or others
        for (const auto& [id, observer] : observers) {
            if (observers_.contains(id)) observer(routes_);
        }
        if (std::exchange(scheduled_, false)) schedule();
    }

    Descriptor events_;
    Descriptor dumps_;
    asio::steady_timer pause_;
    asio::steady_timer resync_;
    std::vector<char> buffer_;
    std::set<std::string> wanted_;
    std::map<int, std::string> names_;  // of the wanted links that exist, as of the last reading
    std::vector<PortRoute> routes_;
    std::vector<PortRoute> found_;  // of the reading under way
    std::map<int, std::function<void(const std::vector<PortRoute>&)>> observers_;
    std::uint32_t sequence_ = 0;
    int next_observer_ = 0;
    bool scheduled_ = false;
    bool reading_ = false;
    bool interrupted_ = false;
};

class KernelPortRoutes final : public PortRoutes {
public:
    explicit KernelPortRoutes(std::shared_ptr<RouteWatch> watch) : watch_(std::move(watch)) {}
    ~KernelPortRoutes() override { watch_->close(); }

    void watch(std::set<std::string> interfaces) override { watch_->watch(std::move(interfaces)); }
    Subscription observe(std::function<void(const std::vector<PortRoute>&)> observer) override {
        return watch_->observe(std::move(observer));
    }

private:
    std::shared_ptr<RouteWatch> watch_;
};

}  // namespace

Result<std::unique_ptr<PortRoutes>> make_port_routes(asio::any_io_executor loop) {
    auto watch = std::make_shared<RouteWatch>(loop);
    NETT_TRY(watch->open());
    return std::make_unique<KernelPortRoutes>(std::move(watch));
}

}  // namespace nett
