// The server of HTTP, over TLS or plain: listeners, connections, their limits and their end.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/admission.hpp"
#include "plugins/metadata/counters.hpp"
#include "plugins/metadata/http_handler.hpp"
#include "plugins/metadata/log_limiter.hpp"
#include "plugins/metadata/shared_value.hpp"
#include "plugins/metadata/tls.hpp"

namespace nett::metadata {

class Connection;
class Listener;

// Settings, open(), adopt() and stop() on the loop thread; connections run on `io`. Keeps itself alive through its
// connections; after stop() there are none.
class Server : public std::enable_shared_from_this<Server> {
public:
    using Endpoint = boost::asio::ip::tcp::endpoint;

    Server(asio::any_io_executor loop, asio::any_io_executor io, const Clock& clock, RequestHandler handler);
    ~Server();

    // For connections from now on; live ones keep theirs. None, as in the beginning: plain HTTP.
    void set_tls(std::shared_ptr<const TlsContext> tls) { tls_.store(std::move(tls)); }
    void set_limits(ConnectionLimits limits) { admission_.set_limits(limits); }
    // Opens what a new list of endpoints needs besides what is open; nothing changes until adopt(). The address need
    // not exist yet (IPV6_FREEBIND): an anycast address comes and goes.
    using Listeners = std::vector<std::shared_ptr<Listener>>;
    Result<Listeners> open(const std::vector<Endpoint>& endpoints);
    // Serves on these and closes all others; listeners that stay are not disturbed. TLS and limits are set before.
    void adopt(Listeners listeners);
    // Lets no connection begin on the listeners of this address (plugins/metadata/listen_filter.hpp), and connections
    // to it end after the answer under way. False when no listener has the address.
    bool hold(const Address6& address);
    // Whether a connection to the held address has something under way. Call it again and again.
    bool busy();
    // Ends that.
    void release();
    // Closes the listeners, lets answers under way end, and cuts what is left at the deadline.
    Awaitable<void> stop(SteadyTime deadline);

    std::vector<Endpoint> endpoints() const;
    // Empty when all listeners accept; else what is the matter with one.
    std::string trouble() const;
    const Counters& counters() const { return counters_; }
    const Admission& admission() const { return admission_; }
    std::shared_ptr<const TlsContext> tls() const { return tls_.load(); }

private:
    friend class Connection;
    friend class Listener;

    // From a listener: an accepted descriptor, now owned here, and its peer's address.
    void take(int descriptor, const Address6& source);
    void refuse(const Address6& source);
    // Every coroutine on `io` is one task; stop() waits for zero.
    void begin_task();
    void end_task();
    // Notices passed deadlines of connections, so that each needs no timer of its own.
    Awaitable<void> sweep(std::shared_ptr<Server> self);
    // The connection's last call before it closes its socket.
    void remove(Connection& connection);
    // Runs `visit` on each connection under the lock that remove() takes.
    template <typename Visit>
    void with_connections(Visit visit);
    Awaitable<void> wait_for_tasks(SteadyTime until);

    asio::any_io_executor loop_;
    asio::any_io_executor io_;
    const Clock& clock_;
    RequestHandler handler_;
    Logger log_{"metadata"};
    Counters counters_;
    Admission admission_;
    LogLimiter handshake_log_;
    LogLimiter limit_log_;
    SharedValue<TlsContext> tls_;
    Listeners listeners_;             // loop thread
    asio::steady_timer tasks_ended_;  // loop thread
    asio::steady_timer sweep_timer_;  // on a strand of its own
    bool sweeping_ = false;           // loop thread
    std::atomic<std::size_t> tasks_{0};
    std::atomic<bool> stopping_{false};

    std::mutex mutex_;  // guards what follows
    std::unordered_set<Connection*> connections_;
    std::optional<Address6> held_;
};

}  // namespace nett::metadata
