#include "agent/sdk/https_client.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace ssl = asio::ssl;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;
using Stream = ssl::stream<beast::tcp_stream>;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadBuffer = 64 * 1024;  // what is read at once of a body

Result<void> trust(ssl::context& context, const HttpsRequest& order) {
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    context.set_verify_mode(ssl::verify_peer);
    error_code error;
    order.ca_file.empty() ? context.set_default_verify_paths(error) : context.load_verify_file(order.ca_file, error);
    if (!error) return {};
    return fail(Code::kFailedPrecondition, "{}: no CA certificates can be read from it; check \"{}\"",
                order.ca_file.empty() ? "the system's CA store" : order.ca_file, order.ca_setting);
}

// The certificate must carry the URL's name or address.
Result<void> expect_peer(Stream& stream, const HttpsUrl& url) {
    auto* parameters = SSL_get0_param(stream.native_handle());
    const bool set = url.literal ? X509_VERIFY_PARAM_set1_ip_asc(parameters, url.host.c_str()) == 1
                                 : X509_VERIFY_PARAM_set1_host(parameters, url.host.c_str(), url.host.size()) == 1 &&
                                       SSL_set_tlsext_host_name(stream.native_handle(), url.host.c_str()) == 1;
    if (!set) return fail(Code::kInternal, "OpenSSL does not take the name {}", url.host);
    return {};
}

http::request<http::string_body> message_of(const HttpsRequest& order) {
    const bool post = order.method == HttpsRequest::Method::kPost;
    http::request<http::string_body> message(post ? http::verb::post : http::verb::get, order.url.target, 11);
    message.set(http::field::host, order.url.authority());
    message.set(http::field::accept, "application/json");
    message.set(http::field::user_agent, "nett");
    message.set(http::field::connection, "close");
    for (const auto& [name, value] : order.headers) message.set(name, value);
    if (post) {
        message.set(http::field::content_type, "application/json");
        message.body() = order.body;
        message.prepare_payload();
    }
    return message;
}

std::optional<std::chrono::seconds> retry_after_of(const http::fields& fields) {
    const auto text = fields[http::field::retry_after];
    const auto seconds = parse_integer({text.data(), text.size()}, 0, std::chrono::seconds(kMaxRetryAfter).count());
    return seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
}

// What became of one step of an exchange.
tl::unexpected<Error> failed(const HttpsRequest& order, const char* step, const error_code& error) {
    const auto server = order.url.authority();
    if (error == beast::error::timeout) {
        return fail(Code::kDeadlineExceeded, "{}: {}: no answer within {} s; see that it runs and is not overloaded",
                    server, step, order.timeout.count());
    }
    if (error == http::error::body_limit || error == http::error::header_limit || error == http::error::buffer_overflow)
        return fail(Code::kResourceExhausted, "{}: its answer is larger than {} bytes", server,
                    error == http::error::body_limit ? order.max_answer : kMaxHttpsHead);
    if (error == http::error::end_of_stream || error == http::error::partial_message ||
        error == ssl::error::stream_truncated)
        return fail(Code::kUnavailable, "{}: {}: it closed the connection before its answer's end", server, step);
    if (error.category() == http::make_error_code(http::error::bad_method).category())
        return fail(Code::kDataLoss, "{}: {}: what answers there does not speak HTTP", server, error.message());
    return fail(Code::kUnavailable, "{}: {}: {}", server, step, error.message());
}

// Of a failed handshake: whether it was our verdict on the certificate.
tl::unexpected<Error> refused(Stream& stream, const HttpsRequest& order, const error_code& error) {
    const auto verdict = SSL_get_verify_result(stream.native_handle());
    if (verdict == X509_V_OK) return failed(order, "TLS", error);
    return fail(Code::kPermissionDenied, "{}: its certificate is refused: {}; check \"{}\"", order.url.authority(),
                X509_verify_cert_error_string(verdict), order.ca_setting);
}

class BeastHttpsClient final : public HttpsClient {
public:
    explicit BeastHttpsClient(asio::any_io_executor loop) : loop_(std::move(loop)), resolver_(loop_) {}

    Awaitable<Result<HttpsAnswer>> send(HttpsRequest request) override {
        ssl::context context(ssl::context::tls_client);
        NETT_CO_TRY(trust(context, request));
        Stream stream(loop_, context);
        NETT_CO_TRY(expect_peer(stream, request.url));
        stream_ = &stream;
        auto reached = co_await connect(stream, request);
        Result<HttpsAnswer> answer = HttpsAnswer{};
        if (reached) {
            answer = co_await ask(stream, request);
        } else {
            answer = fail(std::move(reached.error()));
        }
        stream_ = nullptr;
        ERR_clear_error();  // of this thread, which others' handshakes share
        co_return answer;
    }

    void abort() override {
        resolver_.cancel();
        if (stream_ != nullptr) stream_->next_layer().close();
    }

private:
    Awaitable<Result<void>> connect(Stream& stream, const HttpsRequest& order) {
        const auto port = std::to_string(order.url.port);
        auto [resolve_error, found] = co_await resolver_.async_resolve(tcp::v6(), order.url.host, port, kAsTuple);
        if (resolve_error) co_return failed(order, "look-up of an IPv6 address", resolve_error);
        stream.next_layer().expires_after(order.timeout);  // once: for all that follows
        auto [connect_error, endpoint] = co_await stream.next_layer().async_connect(found, kAsTuple);
        if (connect_error) co_return failed(order, "connect", connect_error);
        auto [handshake_error] = co_await stream.async_handshake(ssl::stream_base::client, kAsTuple);
        if (handshake_error) co_return refused(stream, order, handshake_error);
        co_return Result<void>{};
    }

    static Awaitable<Result<HttpsAnswer>> ask(Stream& stream, const HttpsRequest& order) {
        const auto message = message_of(order);
        auto [write_error, written] = co_await http::async_write(stream, message, kAsTuple);
        if (write_error) co_return failed(order, "request", write_error);
        beast::flat_buffer buffer(kReadBuffer);
        http::response_parser<http::string_body> parser;
        parser.header_limit(kMaxHttpsHead);
        parser.body_limit(order.max_answer);
        // Without a body that is wanted, what the server says of its length does not matter either.
        if (order.max_answer == 0) parser.skip(true);
        auto [read_error, read] = co_await http::async_read(stream, buffer, parser, kAsTuple);
        if (read_error) co_return failed(order, "answer", read_error);
        HttpsAnswer answer{parser.get().result_int(), {}, retry_after_of(parser.get())};
        answer.body = std::move(parser.get().body());
        co_return answer;
    }

    asio::any_io_executor loop_;
    tcp::resolver resolver_;
    Stream* stream_ = nullptr;
};

}  // namespace

std::unique_ptr<HttpsClient> make_https_client(asio::any_io_executor loop) {
    return std::make_unique<BeastHttpsClient>(std::move(loop));
}

}  // namespace nett
