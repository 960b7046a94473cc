// The request loop of one connection, on any stream: TLS in the server, beast::test::stream in tests. Includes Beast:
// for connection.cpp and tests only.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "plugins/metadata/counters.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/http_handler.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

// What the loop needs besides its stream. Belongs to the connection and is used on its strand only.
struct HttpSession {
    const RequestHandler& handle;
    const Clock& clock;
    Counters& counters;
    std::function<void(std::chrono::steady_clock::duration)> arm;  // the deadline of the I/O that follows
    Peer peer = {};
    bool shed = false;      // answer 503 and close
    bool stopping = false;  // close after the answer under way
    bool idle = false;      // waiting for a request
};

namespace detail {

namespace http = boost::beast::http;
using RequestParser = http::request_parser<http::empty_body>;
inline constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

inline Request request_of(const RequestParser& parser) {
    const auto& message = parser.get();
    const auto field = [&](http::field name) {
        const auto value = message[name];
        return std::string(value.data(), value.size());
    };
    Request request;
    request.method = message.method() == http::verb::get    ? Method::kGet
                     : message.method() == http::verb::head ? Method::kHead
                                                            : Method::kOther;
    const auto target = message.target();
    request.target.assign(target.data(), target.size());
    request.if_match = field(http::field::if_match);
    request.if_none_match = field(http::field::if_none_match);
    request.if_range = field(http::field::if_range);
    request.range = field(http::field::range);
    return request;
}

// The answer to bytes that are no request; status 0: nothing was asked, or nobody listens any more.
inline Response response_to(const boost::system::error_code& error, bool received_bytes) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return plain(431, Outcome::kBadRequest, "header too large");
    }
    const bool syntax = error.category() == http::make_error_code(http::error::bad_method).category() &&
                        error != http::error::end_of_stream && error != http::error::partial_message;
    if (syntax && received_bytes) return plain(400, Outcome::kBadRequest, "bad request");
    Response nothing;
    nothing.status = 0;
    return nothing;
}

inline bool has_body(const RequestParser& parser) {
    const auto length = parser.content_length();
    return parser.chunked() || (length && *length > 0);
}

template <typename Stream>
Awaitable<bool> send_text(Stream& stream, HttpSession& session, const std::string& text) {
    session.arm(kWriteTimeout);
    const auto bytes = asio::buffer(text);
    auto [error, sent] = co_await asio::async_write(stream, bytes, kAsTuple);
    Counters::add(session.counters.bytes_sent, sent);
    co_return !error;
}

// Sends a window of the answer's file through one fixed buffer. False when the peer stalls or is gone, or the file
// cannot be read: the announced length can then only be broken off by closing.
template <typename Stream>
Awaitable<bool> send_window(Stream& stream, HttpSession& session, const Response& response, ByteRange window) {
    const OpenFile& file = *response.file;
    std::vector<char> buffer(std::min<std::uint64_t>(kFileBufferBytes, window.count));
    while (window.count > 0) {
        const auto wanted = std::min<std::uint64_t>(buffer.size(), window.count);
        const auto got = file.read_at(window.first, buffer.data(), wanted);
        if (!got || *got == 0) co_return false;
        session.arm(kWriteTimeout);
        const auto chunk = asio::buffer(buffer.data(), *got);
        auto [error, sent] = co_await asio::async_write(stream, chunk, kAsTuple);
        Counters::add(session.counters.bytes_sent, sent);
        if (error) co_return false;
        if (response.on_sent) response.on_sent({window.first, *got});
        window.first += *got;
        window.count -= *got;
    }
    co_return true;
}

template <typename Stream>
Awaitable<bool> send_file(Stream& stream, HttpSession& session, const Response& response) {
    if (response.parts.empty()) {
        const auto window = response.window.value_or(ByteRange{0, response.file_size});
        co_return co_await send_window(stream, session, response, window);
    }
    for (const auto& part : response.parts) {
        if (!co_await send_text(stream, session, part.head)) co_return false;
        if (!co_await send_window(stream, session, response, part.window)) co_return false;
    }
    co_return co_await send_text(stream, session, response.end);
}

template <typename Stream>
Awaitable<bool> send(Stream& stream, HttpSession& session, const Response& response, bool head_only, bool keep_alive) {
    session.counters.count(response.outcome);
    std::string head = render_head(response, keep_alive, session.clock.system_now());
    const bool with_body = !head_only && response.status != 304;
    if (with_body && !response.file) head += response.body;
    if (!co_await send_text(stream, session, head)) co_return false;
    if (!with_body || !response.file) co_return true;
    co_return co_await send_file(stream, session, response);
}

}  // namespace detail

// Serves requests until the peer or this side ends it. True: an orderly end, the stream may be shut down cleanly.
template <typename Stream>
Awaitable<bool> serve_requests(Stream& stream, HttpSession& session) {
    namespace http = boost::beast::http;
    boost::beast::flat_buffer buffer(2 * kMaxHeaderBytes);
    Conversation conversation;
    for (;;) {
        detail::RequestParser parser;
        parser.header_limit(kMaxHeaderBytes);
        session.arm(kIdleTimeout);
        session.idle = true;
        auto [error, received] = co_await http::async_read_header(stream, buffer, parser, detail::kAsTuple);
        session.idle = false;
        if (error) {
            auto answer = detail::response_to(error, buffer.size() > 0 || received > 0);
            if (answer.status == 0) co_return error == http::error::end_of_stream;
            co_return co_await detail::send(stream, session, answer, false, false);
        }
        if (detail::has_body(parser)) {
            auto answer = plain(413, Outcome::kBadRequest, "no request bodies");
            co_return co_await detail::send(stream, session, answer, false, false);
        }
        Request request = detail::request_of(parser);
        const bool head_only = request.method == Method::kHead;
        if (session.shed) {
            auto answer = plain(503, Outcome::kShed, "too many connections");
            co_return co_await detail::send(stream, session, answer, head_only, false);
        }
        // Nobody reads here while the answer is made; its own waits (the store) are bounded.
        auto response = co_await session.handle(std::move(request), session.peer, conversation);
        const bool keep_alive = parser.get().keep_alive() && !session.stopping;
        const bool sent = co_await detail::send(stream, session, response, head_only, keep_alive);
        if (!sent || !keep_alive || session.stopping) co_return sent;
    }
}

}  // namespace nett::metadata
