#include "plugins/metadata/netbox_client.hpp"

#include <utility>

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

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

namespace ssl = asio::ssl;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;
using Stream = ssl::stream<beast::tcp_stream>;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

Code class_of(const error_code& error) {
    if (error == beast::error::timeout) return Code::kDeadlineExceeded;
    if (error == http::error::body_limit) return Code::kResourceExhausted;
    if (error.category() == http::make_error_code(http::error::bad_method).category()) return Code::kDataLoss;
    return Code::kUnavailable;
}

Result<void> trust(ssl::context& context, const std::string& ca_file) {
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    context.set_verify_mode(ssl::verify_peer);
    error_code error;
    context.load_verify_file(ca_file, error);
    if (error) return fail(Code::kFailedPrecondition, "{}: no CA certificates can be read from it", ca_file);
    return {};
}

Result<void> expect_peer(Stream& stream, const NetboxOrigin& origin) {
    auto* parameters = SSL_get0_param(stream.native_handle());
    const bool set = origin.literal
                         ? X509_VERIFY_PARAM_set1_ip_asc(parameters, origin.host.c_str()) == 1
                         : X509_VERIFY_PARAM_set1_host(parameters, origin.host.c_str(), origin.host.size()) == 1 &&
                               SSL_set_tlsext_host_name(stream.native_handle(), origin.host.c_str()) == 1;
    if (!set) return fail(Code::kInternal, "OpenSSL does not take the name {}", origin.host);
    return {};
}

std::optional<std::chrono::seconds> retry_after_of(const http::response<http::string_body>& response) {
    const auto field = response[http::field::retry_after];
    const auto seconds = parse_integer({field.data(), field.size()}, 0, kNetboxMaxRetryAfter.count());
    // The other form, a date, is as good as none: the next try comes anyway.
    return seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
}

class BeastNetboxClient final : public NetboxClient {
public:
    explicit BeastNetboxClient(asio::any_io_executor loop) : loop_(std::move(loop)), resolver_(loop_) {}

    Awaitable<Result<NetboxAnswer>> get(NetboxSettings settings, std::string target,
                                        std::string authorization) override {
        ssl::context context(ssl::context::tls_client);
        NETT_CO_TRY(trust(context, settings.ca_file));
        Stream stream(loop_, context);
        stream_ = &stream;
        auto answer = co_await exchange(stream, settings, std::move(target), std::move(authorization));
        stream_ = nullptr;
        ERR_clear_error();
        co_return answer;
    }

    void abort() override {
        resolver_.cancel();
        if (stream_ != nullptr) stream_->next_layer().close();
    }

private:
    Awaitable<Result<NetboxAnswer>> exchange(Stream& stream, const NetboxSettings& settings, std::string target,
                                             std::string authorization) {
        const auto failed = [&](const char* what, const error_code& error) {
            return fail(class_of(error), "{}: {}: {}", settings.origin.authority(), what, error.message());
        };
        NETT_CO_TRY(expect_peer(stream, settings.origin));
        const auto port = std::to_string(settings.origin.port);
        auto [resolve_error, found] = co_await resolver_.async_resolve(tcp::v6(), settings.origin.host, port, kAsTuple);
        if (resolve_error) co_return failed("look-up", resolve_error);
        stream.next_layer().expires_after(kNetboxTimeout);
        auto [connect_error, endpoint] = co_await stream.next_layer().async_connect(found, kAsTuple);
        if (connect_error) co_return failed("connect", connect_error);
        auto [handshake_error] = co_await stream.async_handshake(ssl::stream_base::client, kAsTuple);
        if (handshake_error) {
            const auto verdict = SSL_get_verify_result(stream.native_handle());
            if (verdict == X509_V_OK) co_return failed("TLS", handshake_error);
            co_return fail(Code::kPermissionDenied, "{}: its certificate is refused: {}; check \"netbox ca\"",
                           settings.origin.authority(), X509_verify_cert_error_string(verdict));
        }
        http::request<http::empty_body> request(http::verb::get, target, 11);
        request.set(http::field::host, settings.origin.authority());
        request.set(http::field::authorization, authorization);
        request.set(http::field::accept, "application/json");
        request.set(http::field::user_agent, "nett");
        request.set(http::field::connection, "close");
        auto [write_error, written] = co_await http::async_write(stream, request, kAsTuple);
        if (write_error) co_return failed("request", write_error);
        beast::flat_buffer buffer(kNetboxReadBuffer);
        http::response_parser<http::string_body> parser;
        parser.body_limit(kNetboxMaxBody);
        auto [read_error, read] = co_await http::async_read(stream, buffer, parser, kAsTuple);
        if (read_error) co_return failed("answer", read_error);
        NetboxAnswer answer;
        answer.status = parser.get().result_int();
        answer.retry_after = retry_after_of(parser.get());
        answer.body = std::move(parser.get().body());
        co_return answer;
    }

    asio::any_io_executor loop_;
    tcp::resolver resolver_;
    Stream* stream_ = nullptr;
};

}  // namespace

std::unique_ptr<NetboxClient> make_netbox_client(asio::any_io_executor loop) {
    return std::make_unique<BeastNetboxClient>(std::move(loop));
}

}  // namespace nett::metadata
