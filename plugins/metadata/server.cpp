#include "plugins/metadata/server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "plugins/metadata/connection.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/listen_filter.hpp"

namespace nett::metadata {

namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 1024;                                 // capped by net.core.somaxconn
constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // out of descriptors: connections must end first
constexpr auto kCutMargin = std::chrono::milliseconds(250);    // before the deadline, for the cut ones to end
constexpr int kAcceptBatch = 64;                               // then those accepted before have a turn on this thread
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

// Owns a descriptor until it is released to Asio.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_;
};

Address6 address_of(const sockaddr_in6& peer) {
    Address6::bytes_type bytes;
    std::memcpy(bytes.data(), &peer.sin6_addr, bytes.size());
    // The zone of a link-local peer: without it, answers about its address could mean another link's.
    return Address6(bytes, IN6_IS_ADDR_LINKLOCAL(&peer.sin6_addr) ? peer.sin6_scope_id : 0);
}

// Asio opens sockets without SOCK_CLOEXEC and knows no IPV6_FREEBIND, so the socket is made here.
Result<int> open_listening_socket(const tcp::endpoint& endpoint) {
    const auto failed = [&](const char* what) {
        const int error = errno;
        return fail(error == EADDRINUSE ? Code::kAlreadyExists : Code::kUnavailable, "listen {}: {}: {}",
                    to_string(endpoint), what, std::strerror(error));
    };
    Descriptor fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (fd.get() < 0) return failed("socket");
    const int on = 1;
    // An IPv4-mapped address is how the homelab listener is told to serve IPv4.
    const int v6only = endpoint.address().to_v6().is_v4_mapped() ? 0 : 1;
    if (::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only) != 0) return failed("IPV6_V6ONLY");
    if (::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) != 0) return failed("IPV6_FREEBIND");
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return failed("SO_REUSEADDR");
    if (::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) return failed("bind");
    if (::listen(fd.get(), kBacklog) != 0) return failed("listen");
    return fd.release();
}

}  // namespace

// One listening socket and its accept loop, on a strand of its own.
class Listener : public std::enable_shared_from_this<Listener> {
public:
    static Result<std::shared_ptr<Listener>> open(Server& server, const tcp::endpoint& endpoint) {
        auto fd = open_listening_socket(endpoint);
        if (!fd) return fail(std::move(fd.error()));
        auto listener = std::make_shared<Listener>(server, endpoint);
        error_code error;
        listener->acceptor_.assign(tcp::v6(), *fd, error);
        if (error) {
            ::close(*fd);
            return fail(Code::kInternal, "listen {}: {}", to_string(endpoint), error.message());
        }
        return listener;
    }
    Listener(Server& server, tcp::endpoint endpoint)
        : endpoint_(std::move(endpoint)), acceptor_(asio::make_strand(server.io_)), pause_(acceptor_.get_executor()) {}

    void start(std::shared_ptr<Server> server) {
        server->begin_task();
        auto self = shared_from_this();
        asio::co_spawn(acceptor_.get_executor(), accept_loop(server), [self, server](std::exception_ptr failure) {
            if (failure) self->accepts_ = false;
            server->end_task();
        });
    }
    // Any thread.
    void close() {
        asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
            error_code ignored;
            self->acceptor_.close(ignored);
            self->pause_.cancel();
        });
    }
    // The same: whether requests for new connections are heeded.
    void heed(bool yes) {
        asio::post(acceptor_.get_executor(), [self = shared_from_this(), yes] {
            if (!self->acceptor_.is_open()) return;
            const int socket = self->acceptor_.native_handle();
            if (yes) {
                heed_new_connections(socket);
            } else {
                overlook_new_connections(socket);
            }
        });
    }
    const tcp::endpoint& endpoint() const { return endpoint_; }
    bool accepts() const { return accepts_; }

private:
    Awaitable<void> accept_loop(std::shared_ptr<Server> server) {
        while (acceptor_.is_open()) {
            auto [error] = co_await acceptor_.async_wait(tcp::acceptor::wait_read, kAsTuple);
            if (!acceptor_.is_open()) co_return;
            accepts_ = !error && accept_waiting(*server);
            if (accepts_) continue;
            pause_.expires_after(kAcceptPause);
            co_await pause_.async_wait(kAsTuple);
        }
    }
    // Takes what has come, up to kAcceptBatch. False when the system gives no descriptor.
    bool accept_waiting(Server& server) {
        for (int i = 0; i < kAcceptBatch; ++i) {
            sockaddr_in6 peer{};
            socklen_t size = sizeof peer;
            const int fd = ::accept4(acceptor_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size,
                                     SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0) {
                server.take(fd, address_of(peer));
                continue;
            }
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return false;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
            // Others are about the one connection that is gone already (accept(2)).
        }
        return true;
    }

    const tcp::endpoint endpoint_;
    tcp::acceptor acceptor_;
    asio::steady_timer pause_;
    std::atomic<bool> accepts_{true};
};

Server::Server(asio::any_io_executor loop, asio::any_io_executor io, const Clock& clock, RequestHandler handler)
    : loop_(loop),
      io_(io),
      clock_(clock),
      handler_(std::move(handler)),
      tasks_ended_(loop),
      sweep_timer_(asio::make_strand(io)) {}

Server::~Server() = default;

Result<Server::Listeners> Server::open(const std::vector<Endpoint>& endpoints) {
    Listeners next;
    for (const auto& endpoint : endpoints) {
        const auto kept = std::find_if(listeners_.begin(), listeners_.end(),
                                       [&](const auto& one) { return one->endpoint() == endpoint; });
        if (kept != listeners_.end()) {
            next.push_back(*kept);
            continue;
        }
        auto listener = Listener::open(*this, endpoint);
        if (!listener) return fail(std::move(listener.error()));  // those opened so far close with their last reference
        next.push_back(std::move(*listener));
    }
    return next;
}

void Server::adopt(Listeners listeners) {
    const Listeners before = std::exchange(listeners_, std::move(listeners));
    const auto has = [](const Listeners& list, const auto& one) {
        return std::find(list.begin(), list.end(), one) != list.end();
    };
    for (const auto& listener : before) {
        if (!has(listeners_, listener)) listener->close();
    }
    stopping_ = false;
    if (!std::exchange(sweeping_, true)) {
        begin_task();
        auto self = shared_from_this();
        asio::co_spawn(sweep_timer_.get_executor(), sweep(self), [self](std::exception_ptr) { self->end_task(); });
    }
    for (const auto& listener : listeners_) {
        if (!has(before, listener)) listener->start(shared_from_this());
    }
}

std::vector<Server::Endpoint> Server::endpoints() const {
    std::vector<Endpoint> out;
    for (const auto& listener : listeners_) out.push_back(listener->endpoint());
    return out;
}

std::string Server::trouble() const {
    if (listeners_.empty()) return "no listener";
    for (const auto& listener : listeners_) {
        if (!listener->accepts()) return "cannot accept on " + to_string(listener->endpoint());
    }
    return "";
}

void Server::take(int descriptor, const Address6& source) {
    Descriptor owned(descriptor);
    if (stopping_) return;
    Counters::add(counters_.accepted);
    const auto verdict = admission_.enter(source);
    if (verdict == Admission::Verdict::kClose) return refuse(source);
    error_code error;
    tcp::socket socket(io_);
    socket.assign(tcp::v6(), owned.get(), error);
    Peer peer;
    peer.source = source;
    if (!error) {
        owned.release();
        peer.local = socket.local_endpoint(error);
    }
    const auto tls = tls_.load();
    if (error) return admission_.leave(source);  // gone already
    if (verdict == Admission::Verdict::kShed) Counters::add(counters_.shed);
    socket.set_option(tcp::no_delay(true), error);
    begin_task();
    auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket), tls,
                                                   verdict == Admission::Verdict::kShed, std::move(peer));
    {
        const std::lock_guard lock(mutex_);
        connections_.insert(connection.get());
        // stop() may have gone through the connections between the check above and here.
        if (stopping_) connection->finish();
        // It was waiting to be accepted already.
        if (held_ == connection->local()) connection->wind_up();
    }
    connection->spawn(io_);
}

void Server::refuse(const Address6& source) {
    Counters::add(counters_.closed_unheard);
    if (const auto held = limit_log_.admit(clock_.steady_now())) {
        log_.warning(
            "too many connections; closed one",
            {{"source", source.to_string()}, {"connections", admission_.connections()}, {"suppressed", *held}});
    }
}

void Server::begin_task() {
    ++tasks_;
}

void Server::end_task() {
    if (--tasks_ != 0) return;
    asio::post(loop_, [self = shared_from_this()] { self->tasks_ended_.cancel(); });
}

void Server::remove(Connection& connection) {
    const std::lock_guard lock(mutex_);
    connections_.erase(&connection);
}

template <typename Visit>
void Server::with_connections(Visit visit) {
    const std::lock_guard lock(mutex_);
    for (auto* connection : connections_) visit(*connection);
}

bool Server::hold(const Address6& address) {
    bool ours = false;
    for (const auto& listener : listeners_) {
        if (listener->endpoint().address() != address) continue;
        listener->heed(false);
        ours = true;
    }
    const std::lock_guard lock(mutex_);
    if (ours) held_ = address;
    return ours;
}

bool Server::busy() {
    const std::lock_guard lock(mutex_);
    bool busy = false;
    for (auto* connection : connections_) {
        if (held_ != connection->local()) continue;
        connection->wind_up();
        busy = busy || connection->under_way();
    }
    return busy;
}

void Server::release() {
    for (const auto& listener : listeners_) listener->heed(true);
    const std::lock_guard lock(mutex_);
    held_.reset();
}

Awaitable<void> Server::sweep(std::shared_ptr<Server> self) {
    for (;;) {
        with_connections([now = clock_.steady_now()](Connection& one) { one.expire(now); });
        if (stopping_) co_return;
        sweep_timer_.expires_after(kSweepInterval);
        co_await sweep_timer_.async_wait(kAsTuple);
    }
}

Awaitable<void> Server::wait_for_tasks(SteadyTime until) {
    while (tasks_ != 0 && std::chrono::steady_clock::now() < until) {
        tasks_ended_.expires_at(until);
        co_await tasks_ended_.async_wait(kAsTuple);
    }
}

Awaitable<void> Server::stop(SteadyTime deadline) {
    stopping_ = true;
    for (const auto& listener : listeners_) listener->close();
    listeners_.clear();
    asio::post(sweep_timer_.get_executor(), [self = shared_from_this()] { self->sweep_timer_.cancel(); });
    with_connections([](Connection& one) { one.finish(); });
    co_await wait_for_tasks(deadline - kCutMargin);
    // Their I/O ends at once; what a request awaits besides (a commit) ends by itself.
    while (tasks_ != 0) {
        with_connections([](Connection& one) { one.cut(); });
        co_await wait_for_tasks(std::chrono::steady_clock::now() + kCutMargin);
    }
    sweeping_ = false;
}

}  // namespace nett::metadata
