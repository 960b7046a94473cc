#include "plugins/metadata/connection.hpp"

#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

Connection::Connection(std::shared_ptr<Server> server, boost::asio::ip::tcp::socket socket,
                       std::shared_ptr<const TlsContext> tls, bool shed, Peer peer)
    : server_(std::move(server)),
      tls_(std::move(tls)),
      stream_(std::move(socket), tls_ ? tls_->context.get() : nullptr),
      session_{server_->handler_, server_->clock_, server_->counters_} {
    session_.peer = std::move(peer);
    session_.shed = shed;
}

void Connection::spawn(asio::any_io_executor io) {
    auto self = shared_from_this();
    asio::co_spawn(io, run(), [self](std::exception_ptr failure) { self->ended(failure); });
}

void Connection::finish() {
    session_.stopping = true;
    if (session_.idle) stream_.stop_reading();
}

void Connection::wind_up() {
    session_.last = true;
    if (session_.idle && session_.answered && stream_.unacknowledged() == 0) stream_.stop_reading();
}

bool Connection::under_way() const {
    return !over_ || stream_.unacknowledged() > 0;
}

void Connection::cut() {
    stream_.interrupt();
}

void Connection::expire(SteadyTime now) {
    const auto deadline = session_.deadline.load(std::memory_order_relaxed);
    if (deadline == 0 || now.time_since_epoch().count() < deadline || expired_.exchange(true)) return;
    Counters::add(server_->counters_.timeouts);
    cut();
}

Awaitable<void> Connection::run() {
    const bool secured = co_await handshake();
    if (!secured || !accept_peer()) co_return;
    const auto end = co_await serve_requests(stream_, session_);
    if (end == SessionEnd::kBroken || expired_) {
        stream_.abort();
        co_return;
    }
    stream_.say_goodbye();
    over_ = true;
    // While the address is handed over, what the kernel has still to send is under way too.
    if (session_.last) {
        co_await linger(kHandoverLingerTimeout);
    } else if (end == SessionEnd::kRefused) {
        co_await linger(kLingerTimeout);
    }
}

Awaitable<bool> Connection::handshake() {
    if (!tls_) co_return true;
    session_.arm(kHandshakeTimeout);
    for (;;) {
        const auto attempt = stream_.try_handshake();
        if (attempt.error) {
            const auto reason = handshake_failure(stream_.native_handle(), attempt.error);
            note_failed_handshake(expired_ ? "timeout" : reason);
            co_return false;
        }
        if (attempt.want == Want::kNothing) co_return true;
        const bool ready = co_await stream_.ready(attempt.want);
        if (!ready || expired_) {
            note_failed_handshake("timeout");
            co_return false;
        }
    }
}

// A resumed session is not verified by the handshake: its certificate must still be what it was.
bool Connection::accept_peer() {
    if (!tls_) return true;
    auto subject = tls_->verified_peer(stream_.native_handle(), server_->clock_.system_now());
    if (!subject) {
        note_failed_handshake(subject.error().message);
        return false;
    }
    session_.peer.subject = std::move(*subject);
    Counters::add(is_resumed(stream_.native_handle()) ? server_->counters_.handshakes_resumed
                                                      : server_->counters_.handshakes_full);
    return true;
}

// Closing with unread bytes would reset the connection, and the peer might lose the answer that says why.
Awaitable<void> Connection::linger(SteadyTime::duration timeout) {
    session_.arm(timeout);
    for (std::size_t left = kLingerBytes; left > 0;) {
        const auto attempt = stream_.try_discard(left);
        if (attempt.error) co_return;
        left -= attempt.bytes;
        if (attempt.want == Want::kNothing) continue;
        const bool ready = co_await stream_.ready(attempt.want);
        if (!ready) co_return;
    }
}

void Connection::note_failed_handshake(const std::string& reason) {
    Counters::add(server_->counters_.handshakes_failed);
    server_->counters_.refusals.count(reason);
    const auto held = server_->handshake_log_.admit(server_->clock_.steady_now());
    if (!held) return;
    server_->log_.info("TLS handshake failed",
                       {{"source", session_.peer.source.to_string()}, {"reason", reason}, {"suppressed", *held}});
}

void Connection::ended(std::exception_ptr failure) {
    if (failure) server_->log_.error("a connection ended by an exception; please report it");
    server_->remove(*this);  // from here on nobody else touches the socket
    stream_.close();
    server_->admission_.leave(session_.peer.source);
    server_->end_task();
}

}  // namespace nett::metadata
