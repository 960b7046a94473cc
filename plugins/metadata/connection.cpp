#include "plugins/metadata/connection.hpp"

#include <exception>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "plugins/metadata/http_session.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

namespace ssl = asio::ssl;
using Socket = boost::asio::ip::tcp::socket;
using boost::system::error_code;

// Asio's context owns what it is given: give it a reference of its own.
ssl::context context_of(const TlsContext& tls) {
    SSL_CTX_up_ref(tls.context.get());
    return ssl::context(tls.context.get());
}

}  // namespace

// What connections have in common, whatever stream carries them.
class SessionConnection : public Connection, public std::enable_shared_from_this<SessionConnection> {
public:
    void spawn() {
        auto self = shared_from_this();
        asio::co_spawn(tcp().get_executor(), run(), [self](std::exception_ptr failure) { self->ended(failure); });
    }

    void finish() override {
        asio::post(tcp().get_executor(), [self = shared_from_this()] {
            self->session_.stopping = true;
            if (self->session_.idle) self->tcp().cancel();
        });
    }
    void cut() override {
        asio::post(tcp().get_executor(), [self = shared_from_this()] { self->tcp().close(); });
    }

protected:
    SessionConnection(std::shared_ptr<Server> server, std::uint64_t id, bool shed, Peer peer)
        : server_(std::move(server)),
          id_(id),
          session_{server_->handler_, server_->clock_, server_->counters_,
                   [this](auto timeout) { tcp().expires_after(timeout); }} {
        session_.peer = std::move(peer);
        session_.shed = shed;
    }

    virtual boost::beast::tcp_stream& tcp() = 0;
    virtual Awaitable<void> run() = 0;

    void note_failed_handshake(const error_code& error) {
        ERR_clear_error();
        if (error == boost::beast::error::timeout) Counters::add(server_->counters_.timeouts);
        Counters::add(server_->counters_.handshakes_failed);
        const auto held = server_->handshake_log_.admit(server_->clock_.steady_now());
        if (!held) return;
        server_->log_.info(
            "TLS handshake failed",
            {{"source", session_.peer.source.to_string()}, {"error", error.message()}, {"suppressed", *held}});
    }

    void ended(std::exception_ptr failure) {
        if (failure) server_->log_.error("a connection ended by an exception; please report it");
        error_code ignored;
        tcp().socket().close(ignored);
        server_->admission_.leave(session_.peer.source);
        server_->remove(id_);
        server_->end_task();
    }

    std::shared_ptr<Server> server_;
    const std::uint64_t id_;
    HttpSession session_;
};

class TlsConnection final : public SessionConnection {
public:
    TlsConnection(std::shared_ptr<Server> server, Socket socket, std::uint64_t id, const TlsContext& tls, bool shed,
                  Peer peer)
        : SessionConnection(std::move(server), id, shed, std::move(peer)),
          mutual_(tls.mutual),
          context_(context_of(tls)),
          stream_(std::move(socket), context_) {}

private:
    boost::beast::tcp_stream& tcp() override { return stream_.next_layer(); }

    Awaitable<void> run() override {
        session_.arm(kHandshakeTimeout);
        auto [handshake_error] = co_await stream_.async_handshake(ssl::stream_base::server, detail::kAsTuple);
        if (handshake_error) {
            note_failed_handshake(handshake_error);
            co_return;
        }
        if (mutual_) {
            auto subject = peer_subject(stream_.native_handle());
            if (!subject) co_return;
            session_.peer.subject = std::move(*subject);
        }
        const bool orderly = co_await serve_requests(stream_, session_);
        if (!orderly) co_return;
        session_.arm(kShutdownTimeout);
        co_await stream_.async_shutdown(detail::kAsTuple);
    }

    const bool mutual_;
    ssl::context context_;
    ssl::stream<boost::beast::tcp_stream> stream_;
};

class PlainConnection final : public SessionConnection {
public:
    PlainConnection(std::shared_ptr<Server> server, Socket socket, std::uint64_t id, bool shed, Peer peer)
        : SessionConnection(std::move(server), id, shed, std::move(peer)), stream_(std::move(socket)) {}

private:
    boost::beast::tcp_stream& tcp() override { return stream_; }

    Awaitable<void> run() override {
        const bool orderly = co_await serve_requests(stream_, session_);
        error_code ignored;
        if (orderly) stream_.socket().shutdown(Socket::shutdown_send, ignored);
    }

    boost::beast::tcp_stream stream_;
};

std::shared_ptr<Connection> Connection::start(std::shared_ptr<Server> server, Socket socket, std::uint64_t id,
                                              bool shed, Peer peer) {
    const auto tls = server->tls();
    server->begin_task();
    std::shared_ptr<SessionConnection> connection;
    if (tls) {
        connection =
            std::make_shared<TlsConnection>(std::move(server), std::move(socket), id, *tls, shed, std::move(peer));
    } else {
        connection = std::make_shared<PlainConnection>(std::move(server), std::move(socket), id, shed, std::move(peer));
    }
    connection->spawn();
    return connection;
}

}  // namespace nett::metadata
