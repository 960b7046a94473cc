// The request loop of one connection, on any stream with TlsStream's attempts: TLS in the server, memory in tests.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "plugins/metadata/counters.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/http_handler.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/outgoing.hpp"
#include "plugins/metadata/request_parser.hpp"
#include "plugins/metadata/tls_stream.hpp"

namespace nett::metadata {

// What the loop needs besides its stream. Belongs to the connection; the atomics are seen by other threads.
struct HttpSession {
    const RequestHandler& handle;
    const Clock& clock;
    Counters& counters;
    Peer peer = {};
    bool shed = false;                          // answer 503 and close
    std::atomic<bool> stopping{false};          // close after the answer under way
    std::atomic<bool> last{false};              // the same, but who has not asked yet may ask
    std::atomic<bool> answered{false};          // at least one request
    std::atomic<bool> idle{false};              // waiting for a request
    std::atomic<SteadyTime::rep> deadline = 0;  // of the I/O under way, in the clock's ticks; 0: none

    void arm(SteadyTime::duration timeout) {
        deadline.store((clock.steady_now() + timeout).time_since_epoch().count(), std::memory_order_relaxed);
    }
    void disarm() { deadline.store(0, std::memory_order_relaxed); }
};

// How the loop ended.
enum class SessionEnd {
    kOrderly,  // at the peer's wish: nothing is unread
    kRefused,  // an answer was sent, and unread bytes may be left
    kBroken,   // gone, stalled, or an answer broken off
};

namespace detail {

// Nothing is kept in it across a wait, so one is enough for all connections of a thread.
inline char* scratch_buffer() {
    thread_local const auto buffer = std::make_unique<char[]>(kFileBufferBytes);
    return buffer.get();
}

// Sends an answer as fast as the peer takes it. False when the peer stalls or is gone, or the file cannot be read.
template <typename Stream>
Awaitable<bool> send(Stream& stream, HttpSession& session, const Outgoing& outgoing, std::uint64_t offset, Want want) {
    std::uint64_t since_yield = 0;
    while (offset < outgoing.size()) {
        if (want != Want::kNothing) {
            session.arm(kWriteTimeout);
            const bool ready = co_await stream.ready(want);
            if (!ready) co_return false;
            since_yield = 0;
        } else if (since_yield >= kTurnBytes) {
            // A fast reader of a large file must not keep the others of this thread waiting.
            co_await asio::post(asio::use_awaitable);
            since_yield = 0;
        }
        char* const buffer = scratch_buffer();
        const auto filled = outgoing.fill(offset, buffer, kFileBufferBytes);
        if (!filled) {
            if (filled.error().code != Code::kUnavailable) co_return false;
            session.disarm();  // whoever fetches the file bounds the wait
            const bool arrived = co_await outgoing.arrival(offset);
            if (!arrived) co_return false;
            want = Want::kNothing;
            continue;
        }
        const auto attempt = stream.try_write(buffer, *filled);
        if (attempt.error) co_return false;
        Counters::add(session.counters.bytes_sent, attempt.bytes);
        outgoing.report(offset, attempt.bytes);
        offset += attempt.bytes;
        since_yield += attempt.bytes;
        want = attempt.want;
    }
    co_return true;
}

// The whole answer at once, as most are small and sockets have room; else send() goes on where this stopped.
template <typename Stream>
Awaitable<bool> answer(Stream& stream, HttpSession& session, const Response& response, bool head_only,
                       bool keep_alive) {
    session.counters.count(response.outcome);
    const Outgoing outgoing(response, head_only, keep_alive, session.clock.system_now());
    co_return co_await send(stream, session, outgoing, 0, Want::kNothing);
}

// Receives into `input` what is there; waits when nothing is. False: there will be nothing more.
template <typename Stream>
Awaitable<bool> receive(Stream& stream, std::string& input) {
    // After an answer there is rarely a next request already: waiting first saves a read in vain.
    Want want = stream.has_pending() ? Want::kNothing : Want::kRead;
    for (;;) {
        if (want != Want::kNothing) {
            const bool ready = co_await stream.ready(want);
            if (!ready) co_return false;
        }
        char* const buffer = scratch_buffer();
        const auto attempt = stream.try_read(buffer, kFileBufferBytes);
        if (attempt.bytes > 0) {
            input.append(buffer, attempt.bytes);
            co_return true;
        }
        if (attempt.error) co_return false;
        want = attempt.want;
    }
}

}  // namespace detail

// Serves requests until the peer or this side ends it.
template <typename Stream>
Awaitable<SessionEnd> serve_requests(Stream& stream, HttpSession& session) {
    std::string input;  // received and not yet answered
    Conversation conversation;
    for (;;) {
        auto head = parse_head(input);
        if (head.kind == ParsedHead::Kind::kIncomplete) {
            if (input.empty()) session.arm(kIdleTimeout);  // one deadline for a whole head, however it drips in
            session.idle = true;
            // Whoever sets `stopping` or `last` looks at `idle` after that: one of both sees the other.
            if (session.stopping || (session.last && session.answered)) co_return SessionEnd::kOrderly;
            const bool received = co_await detail::receive(stream, input);
            session.idle = false;
            if (!received) co_return input.empty() ? SessionEnd::kOrderly : SessionEnd::kBroken;
            continue;
        }
        if (head.kind == ParsedHead::Kind::kRefused) {
            const bool sent = co_await detail::answer(stream, session, head.refusal, false, false);
            co_return sent ? SessionEnd::kRefused : SessionEnd::kBroken;
        }
        input.erase(0, head.bytes);
        if (input.empty()) input = std::string();  // an idle connection keeps no buffer
        const bool head_only = head.request.method == Method::kHead;
        if (session.shed) {
            const auto busy = plain(503, Outcome::kShed, "too many connections");
            const bool sent = co_await detail::answer(stream, session, busy, head_only, false);
            co_return sent ? SessionEnd::kRefused : SessionEnd::kBroken;
        }
        // Nobody reads here while the answer is made; its own waits (the store) are bounded.
        session.disarm();
        const auto response = co_await session.handle(std::move(head.request), session.peer, conversation);
        const bool keep_alive = head.keep_alive && !session.stopping && !session.last;
        const bool sent = co_await detail::answer(stream, session, response, head_only, keep_alive);
        if (!sent) co_return SessionEnd::kBroken;
        if (!keep_alive) co_return SessionEnd::kRefused;
        session.answered = true;
    }
}

}  // namespace nett::metadata
