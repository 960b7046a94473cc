// One accepted connection: TLS handshake if any, requests, orderly end. Only server.cpp and connection.cpp know it.
#pragma once

#include <cstdint>
#include <memory>

#include "agent/sdk/asio.hpp"
#include "plugins/metadata/http_session.hpp"
#include "plugins/metadata/server.hpp"
#include "plugins/metadata/tls_stream.hpp"

namespace nett::metadata {

// One coroutine on the io pool does everything; there is no strand and no timer. Other threads only shut the socket
// down, under the server's lock (Server::with_connections), which the connection takes before it closes the socket.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(std::shared_ptr<Server> server, boost::asio::ip::tcp::socket socket,
               std::shared_ptr<const TlsContext> tls, bool shed, Peer peer);

    // Starts at once; holds itself and the server until it ends.
    void spawn(asio::any_io_executor io);

    // Any thread, under the server's lock. Closes now if idle, else after the answer under way.
    void finish();
    // The same: closes after the answer under way, or the first one; now if there is none, and nothing is on its way to
    // the peer. Call it again until under_way() says no.
    void wind_up();
    // The same: whether something is still to come of it, or on its way to the peer.
    bool under_way() const;
    Address6 local() const { return session_.peer.local.address().to_v6(); }
    // The same: closes now.
    void cut();
    // The same: cuts when what is under way should have ended by now.
    void expire(SteadyTime now);

private:
    Awaitable<void> run();
    Awaitable<bool> handshake();
    Awaitable<void> linger(SteadyTime::duration timeout);
    bool accept_peer();
    void note_failed_handshake(const std::string& reason);
    void ended(std::exception_ptr failure);

    std::shared_ptr<Server> server_;
    std::shared_ptr<const TlsContext> tls_;  // none: plain HTTP
    TlsStream stream_;
    HttpSession session_;
    std::atomic<bool> expired_{false};
    std::atomic<bool> over_{false};  // nothing more is sent
};

}  // namespace nett::metadata
