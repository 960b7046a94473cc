#include "plugins/redfish/client.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "agent/sdk/strings.hpp"

namespace nett::redfish {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using std::chrono::seconds;
using tcp = asio::ip::tcp;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

// BMCs are slow: a TLS handshake takes seconds on the older ones, an InsertMedia may take most of a minute.
constexpr seconds kConnectTimeout{30};
constexpr seconds kExchangeTimeout{60};
// A connection that was idle for longer may have been closed by the BMC. A change must not be lost to that.
constexpr seconds kReuseForReads{5};
constexpr seconds kReuseForChanges{1};

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

Error transport_error(const boost::system::error_code& code, std::string_view doing) {
    const auto text = fmt::format("{}: {}", doing, code.message());
    if (code == beast::error::timeout) return {Code::kDeadlineExceeded, text, {}};
    if (code == http::error::body_limit || code == http::error::header_limit) {
        return {Code::kResourceExhausted, "the BMC's answer is larger than is taken: " + text, {}};
    }
    const bool closed = code == http::error::end_of_stream || code == http::error::partial_message;
    if (code.category() == http::make_error_code(http::error::bad_version).category() && !closed) {
        return {Code::kDataLoss, "the BMC's answer is not HTTP: " + text, {}};
    }
    return {Code::kUnavailable, text, {}};
}

bool is_header_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

http::verb verb_of(Method method) {
    switch (method) {
        case Method::kPost:
            return http::verb::post;
        case Method::kPatch:
            return http::verb::patch;
        case Method::kDelete:
            return http::verb::delete_;
        case Method::kGet:
            break;
    }
    return http::verb::get;
}

http::request<http::string_body> message_of(const Request& request, const Origin& origin) {
    http::request<http::string_body> message{verb_of(request.method), request.target, 11};
    message.set(http::field::host, origin.host_header());
    message.set(http::field::user_agent, "nett");
    message.set(http::field::accept, "application/json");
    message.set("OData-Version", "4.0");
    if (!request.token.empty()) message.set("X-Auth-Token", request.token);
    if (!request.authorization.empty()) message.set(http::field::authorization, request.authorization);
    if (!request.if_match.empty()) message.set(http::field::if_match, request.if_match);
    if (!request.body.empty()) {
        message.set(http::field::content_type, "application/json");
        message.body() = request.body;
    }
    if (!request.body.empty() || request.method == Method::kPost) message.prepare_payload();
    return message;
}

Response response_of(http::response<http::string_body>&& message) {
    Response response;
    response.status = message.result_int();
    response.etag = std::string(message[http::field::etag]);
    response.location = std::string(message[http::field::location]);
    response.token = std::string(message["X-Auth-Token"]);
    if (auto delay = parse_integer(trim(std::string(message[http::field::retry_after])), 0, 86'400)) {
        response.retry_after = seconds(*delay);
    }
    response.wants_basic = to_lower(std::string(message[http::field::www_authenticate])).starts_with("basic");
    if (!is_header_text(response.etag)) response.etag.clear();
    response.body = std::move(message.body());
    return response;
}

std::string certificate_sha256(SSL* handle) {
    X509* certificate = SSL_get1_peer_certificate(handle);
    if (certificate == nullptr) return {};
    unsigned char* der = nullptr;
    const int length = i2d_X509(certificate, &der);
    X509_free(certificate);
    if (length <= 0) return {};
    std::string digest = sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(length)});
    OPENSSL_free(der);
    return digest;
}

// The connection and what guards it; used on its strand only.
class Connection {
public:
    Connection(asio::any_io_executor io, ClientSettings settings, std::optional<ssl::context> context)
        : strand_(asio::make_strand(io)), settings_(std::move(settings)), context_(std::move(context)) {}

    const asio::any_io_executor& strand() const { return strand_; }

    Awaitable<Result<Response>> exchange(Request request) {
        const bool change = request.method != Method::kGet;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_used_ > (change ? kReuseForChanges : kReuseForReads)) close();
        const bool reused = is_open_;
        auto answer = co_await attempt(request);
        // The BMC may have closed the idle connection meanwhile; a read can simply be repeated.
        if (!answer && reused && !change && answer.error().code == Code::kUnavailable)
            answer = co_await attempt(request);
        co_return answer;
    }

    Awaitable<Result<std::string>> fingerprint() {
        auto opened = co_await open();
        if (!opened) co_return fail(std::move(opened.error()));
        co_return fingerprint_;
    }

    void set_pin(std::string sha256) { settings_.pinned_sha256 = std::move(sha256); }

    void abort() {
        aborted_ = true;
        close();
    }

private:
    beast::tcp_stream& lowest() { return tls_ ? tls_->next_layer() : *plain_; }

    void close() {
        is_open_ = false;
        if (plain_ || tls_) lowest().close();
    }

    Awaitable<Result<void>> open() {
        if (aborted_) co_return fail(Code::kUnavailable, "the connection was ended");
        if (is_open_) co_return Result<void>();
        tls_.reset();
        plain_.reset();
        if (context_) {
            tls_.emplace(strand_, *context_);
        } else {
            plain_.emplace(strand_);
        }
        lowest().expires_after(kConnectTimeout);
        const tcp::endpoint endpoint(settings_.origin.address, settings_.origin.port);
        auto [error] = co_await lowest().async_connect(endpoint, kAwait);
        if (error) co_return fail(transport_error(error, "connecting to " + settings_.origin.host_header()));
        boost::system::error_code ignored;
        lowest().socket().set_option(tcp::no_delay(true), ignored);
        if (context_) {
            auto trusted = co_await handshake();
            if (!trusted) {
                close();
                co_return trusted;
            }
        }
        is_open_ = true;
        co_return Result<void>();
    }

    Awaitable<Result<void>> handshake() {
        SSL* handle = tls_->native_handle();
        const bool by_name = !settings_.ca_file.empty() && settings_.pinned_sha256.empty();
        if (by_name) {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(handle), settings_.origin.address.to_string().c_str());
        }
        auto [error] = co_await tls_->async_handshake(ssl::stream_base::client, kAwait);
        if (const long verdict = SSL_get_verify_result(handle);
            error && !settings_.ca_file.empty() && verdict != X509_V_OK) {
            co_return fail(Code::kPermissionDenied,
                           "the BMC's certificate is not accepted: {}; give a fitting CA file or pin the certificate",
                           X509_verify_cert_error_string(verdict));
        }
        if (error) co_return fail(transport_error(error, "TLS handshake with " + settings_.origin.host_header()));
        fingerprint_ = certificate_sha256(handle);
        if (!settings_.pinned_sha256.empty() && fingerprint_ != settings_.pinned_sha256) {
            co_return fail(
                Code::kPermissionDenied,
                "the BMC's certificate changed: it is {}, pinned is {}; if that is expected, set the BMC's pin anew",
                fingerprint_, settings_.pinned_sha256);
        }
        co_return Result<void>();
    }

    Awaitable<Result<Response>> attempt(const Request& request) {
        auto opened = co_await open();
        if (!opened) co_return fail(std::move(opened.error()));
        Result<Response> answer = fail(Code::kInternal, "no answer");
        if (tls_) {
            answer = co_await exchange_on(*tls_, request);
        } else {
            answer = co_await exchange_on(*plain_, request);
        }
        if (!answer) close();
        last_used_ = std::chrono::steady_clock::now();
        co_return answer;
    }

    template <typename Stream>
    Awaitable<Result<Response>> exchange_on(Stream& stream, const Request& request) {
        lowest().expires_after(kExchangeTimeout);
        auto message = message_of(request, settings_.origin);
        auto [write_error, written] = co_await http::async_write(stream, message, kAwait);
        if (write_error) co_return fail(transport_error(write_error, "sending a request"));
        http::response_parser<http::string_body> parser;
        parser.body_limit(kMaxBodyBytes);
        parser.header_limit(kMaxHeaderBytes);
        beast::flat_buffer buffer;
        auto [read_error, read] = co_await http::async_read(stream, buffer, parser, kAwait);
        if (read_error) co_return fail(transport_error(read_error, "reading the answer"));
        // Bytes beyond the answer belong to nothing that was asked.
        if (!parser.keep_alive() || buffer.size() > 0) close();
        co_return response_of(parser.release());
    }

    asio::any_io_executor strand_;
    ClientSettings settings_;
    std::optional<ssl::context> context_;
    std::optional<beast::tcp_stream> plain_;
    std::optional<TlsStream> tls_;
    std::string fingerprint_;
    std::chrono::steady_clock::time_point last_used_{};
    bool is_open_ = false;
    bool aborted_ = false;
};

class Client final : public Transport {
public:
    explicit Client(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

    Awaitable<Result<Response>> send(Request request) override {
        if (!is_header_text(request.target) || !is_header_text(request.if_match) || !is_header_text(request.token)) {
            co_return fail(Code::kDataLoss, "the BMC's answers led to a request that is no HTTP");
        }
        const auto connection = connection_;
        auto work = connection->exchange(std::move(request));
        co_return co_await asio::co_spawn(connection->strand(), std::move(work), asio::use_awaitable);
    }

    Awaitable<Result<std::string>> fingerprint() override {
        const auto connection = connection_;
        auto work = connection->fingerprint();
        co_return co_await asio::co_spawn(connection->strand(), std::move(work), asio::use_awaitable);
    }

    void set_pin(std::string sha256) override {
        asio::post(connection_->strand(), [connection = connection_, pin = std::move(sha256)]() mutable {
            connection->set_pin(std::move(pin));
        });
    }

    void abort() override {
        asio::post(connection_->strand(), [connection = connection_] { connection->abort(); });
    }

private:
    std::shared_ptr<Connection> connection_;
};

Result<std::optional<ssl::context>> make_context(const ClientSettings& settings) {
    if (!settings.origin.tls) return std::nullopt;
    std::optional<ssl::context> context(std::in_place, ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
    if (settings.ca_file.empty()) {
        context->set_verify_mode(ssl::verify_none);
        return context;
    }
    boost::system::error_code error;
    context->load_verify_file(settings.ca_file, error);
    if (error) {
        return fail(Code::kFailedPrecondition, "cannot read the BMC's CA file {}: {}", settings.ca_file,
                    error.message());
    }
    context->set_verify_mode(ssl::verify_peer);
    return context;
}

}  // namespace

Result<std::unique_ptr<Transport>> make_client(asio::any_io_executor io, ClientSettings settings) {
    auto context = make_context(settings);
    if (!context) return fail(std::move(context.error()));
    auto connection = std::make_shared<Connection>(std::move(io), std::move(settings), std::move(*context));
    return std::make_unique<Client>(std::move(connection));
}

}  // namespace nett::redfish
