#include "agent/core/webhooks/post.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace nett {

namespace {

namespace ssl = asio::ssl;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;
using Stream = ssl::stream<beast::tcp_stream>;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxAnswerHead = 16 * 1024;  // only the status is of interest

Result<void> trust(ssl::context& context, const std::string& ca_file) {
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    context.set_verify_mode(ssl::verify_peer);
    error_code error;
    ca_file.empty() ? context.set_default_verify_paths(error) : context.load_verify_file(ca_file, error);
    if (error) return fail(Code::kFailedPrecondition, "{}: no CA certificates can be read from it", ca_file);
    return {};
}

Result<void> expect_peer(Stream& stream, const WebhookUrl& url) {
    auto* parameters = SSL_get0_param(stream.native_handle());
    const bool set = url.literal ? X509_VERIFY_PARAM_set1_ip_asc(parameters, url.host.c_str()) == 1
                                 : X509_VERIFY_PARAM_set1_host(parameters, url.host.c_str(), url.host.size()) == 1 &&
                                       SSL_set_tlsext_host_name(stream.native_handle(), url.host.c_str()) == 1;
    if (!set) return fail(Code::kInternal, "OpenSSL does not take the name {}", url.host);
    return {};
}

class BeastWebhookClient final : public WebhookClient {
public:
    explicit BeastWebhookClient(asio::any_io_executor loop) : loop_(std::move(loop)), resolver_(loop_) {}

    Awaitable<Result<unsigned>> post(WebhookRequest request) override {
        ssl::context context(ssl::context::tls_client);
        NETT_CO_TRY(trust(context, request.ca_file));
        Stream stream(loop_, context);
        stream_ = &stream;
        auto status = co_await exchange(stream, request);
        stream_ = nullptr;
        ERR_clear_error();
        co_return status;
    }

    void abort() override {
        resolver_.cancel();
        if (stream_ != nullptr) stream_->next_layer().close();
    }

private:
    Awaitable<Result<unsigned>> exchange(Stream& stream, const WebhookRequest& order) {
        const auto failed = [&](const char* what, const error_code& error) {
            return fail(error == beast::error::timeout ? Code::kDeadlineExceeded : Code::kUnavailable, "{}: {}: {}",
                        order.url.authority(), what, error.message());
        };
        NETT_CO_TRY(expect_peer(stream, order.url));
        const auto port = std::to_string(order.url.port);
        auto [resolve_error, found] = co_await resolver_.async_resolve(tcp::v6(), order.url.host, port, kAsTuple);
        if (resolve_error) co_return failed("look-up", resolve_error);
        stream.next_layer().expires_after(kWebhookTimeout);
        auto [connect_error, endpoint] = co_await stream.next_layer().async_connect(found, kAsTuple);
        if (connect_error) co_return failed("connect", connect_error);
        auto [handshake_error] = co_await stream.async_handshake(ssl::stream_base::client, kAsTuple);
        if (handshake_error) {
            const auto verdict = SSL_get_verify_result(stream.native_handle());
            if (verdict == X509_V_OK) co_return failed("TLS", handshake_error);
            co_return fail(Code::kPermissionDenied, "{}: its certificate is refused: {}; check \"ca file\"",
                           order.url.authority(), X509_verify_cert_error_string(verdict));
        }
        http::request<http::string_body> request(http::verb::post, order.url.target, 11);
        request.set(http::field::host, order.url.authority());
        request.set(http::field::content_type, "application/json");
        request.set(http::field::user_agent, "nett");
        request.set(http::field::connection, "close");
        for (const auto& [name, value] : order.headers) request.set(name, value);
        request.body() = order.body;
        request.prepare_payload();
        stream.next_layer().expires_after(kWebhookTimeout);
        auto [write_error, written] = co_await http::async_write(stream, request, kAsTuple);
        if (write_error) co_return failed("request", write_error);
        beast::flat_buffer buffer(kMaxAnswerHead);
        http::response_parser<http::empty_body> parser;
        auto [read_error, read] = co_await http::async_read_header(stream, buffer, parser, kAsTuple);
        if (read_error) co_return failed("answer", read_error);
        co_return parser.get().result_int();
    }

    asio::any_io_executor loop_;
    tcp::resolver resolver_;
    Stream* stream_ = nullptr;
};

}  // namespace

std::unique_ptr<WebhookClient> make_webhook_client(asio::any_io_executor loop) {
    return std::make_unique<BeastWebhookClient>(std::move(loop));
}

}  // namespace nett
