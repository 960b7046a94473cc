// Checks over the network: connect, TLS handshake, one request.
#include <algorithm>
#include <array>
#include <atomic>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/bgp-anycast/probe.hpp"

namespace nett::anycast {
namespace {

namespace ssl = asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxHead = 8 * 1024;  // only the status line is looked at

std::string host_of(const CheckSettings& settings) {
    return settings.server_name.empty() ? settings.target.address().to_string() : settings.server_name;
}

std::string request_of(const CheckSettings& settings) {
    std::string host = host_of(settings);
    if (host.find(':') != std::string::npos) host = fmt::format("[{}]", host);
    return fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: nett-check\r\nConnection: close\r\n\r\n",
                       settings.path, host, settings.target.port());
}

CheckResult judge_status(const CheckSettings& settings, std::optional<int> status) {
    if (!status) return {false, "the answer is not HTTP"};
    bool good = settings.expect_status ? *status == *settings.expect_status : *status >= 200 && *status < 400;
    return {good, fmt::format("status {}", *status)};
}

class NetworkProbe final : public Probe, public std::enable_shared_from_this<NetworkProbe> {
public:
    NetworkProbe(asio::any_io_executor io, CheckSettings settings, Address6 anycast)
        : settings_(std::move(settings)),
          anycast_(anycast),
          strand_(asio::make_strand(io)),
          socket_(strand_),
          deadline_(strand_) {}

    Awaitable<CheckResult> run() override {
        auto work = work_in_time();
        co_return co_await asio::co_spawn(strand_, std::move(work), asio::use_awaitable);
    }

    void cancel() override {
        asio::dispatch(strand_, [self = shared_from_this()] {
            error_code ignored;
            self->socket_.close(ignored);
            self->deadline_.cancel();
        });
    }

private:
    Awaitable<CheckResult> work_in_time() {
        auto self = shared_from_this();
        deadline_.expires_after(settings_.timeout);
        deadline_.async_wait([self](const error_code& error) {
            if (error) return;
            self->late_ = true;
            error_code ignored;
            self->socket_.close(ignored);
        });
        CheckResult result;
        try {
            result = co_await work();
        } catch (const std::exception& error) {
            // Of OpenSSL's set-up: a file that cannot be read, a key that does not belong.
            result = {false, error.what()};
        }
        deadline_.cancel();
        error_code ignored;
        socket_.close(ignored);
        if (late_) result = {false, fmt::format("no answer within {} ms", settings_.timeout.count())};
        co_return result;
    }

    Awaitable<CheckResult> work() {
        error_code error = co_await connect();
        if (error) co_return CheckResult{false, fmt::format("connect: {}", error.message())};
        switch (settings_.type) {
            case CheckType::kHttp:
                co_return co_await request(socket_);
            case CheckType::kTls:
            case CheckType::kHttps:
                co_return co_await over_tls();
            default:
                co_return CheckResult{true, "connected"};
        }
    }

    Awaitable<error_code> connect() {
        error_code error;
        socket_.open(tcp::v6(), error);
        if (!error && settings_.target.address() == asio::ip::address(anycast_))
            socket_.bind(tcp::endpoint(Address6::loopback(), 0), error);
        if (error) co_return error;
        auto [failure] = co_await socket_.async_connect(settings_.target, kAsTuple);
        co_return failure;
    }

    // Made anew each time, so that renewed files count at once.
    std::unique_ptr<ssl::context> context() const {
        auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
        context->set_verify_mode(settings_.ca.empty() ? ssl::verify_none : ssl::verify_peer);
        if (!settings_.ca.empty()) context->load_verify_file(settings_.ca);
        if (!settings_.certificate.empty()) {
            context->use_certificate_chain_file(settings_.certificate);
            context->use_private_key_file(settings_.private_key, ssl::context::pem);
        }
        return context;
    }

    Awaitable<CheckResult> over_tls() {
        auto tls = context();
        ssl::stream<tcp::socket&> stream(socket_, *tls);
        std::string host = host_of(settings_);
        if (!settings_.ca.empty()) stream.set_verify_callback(ssl::host_name_verification(host));
        if (host.find(':') == std::string::npos) SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());
        auto [error] = co_await stream.async_handshake(ssl::stream_base::client, kAsTuple);
        if (error) co_return CheckResult{false, fmt::format("TLS: {}", error.message())};
        // In TLS 1.3 the server may still refuse the client's certificate: only a request (https) proves that it did
        // not.
        if (settings_.type == CheckType::kTls) co_return CheckResult{true, SSL_get_version(stream.native_handle())};
        co_return co_await request(stream);
    }

    template <typename Stream>
    Awaitable<CheckResult> request(Stream& stream) {
        std::string request = request_of(settings_);
        auto [error, written] = co_await asio::async_write(stream, asio::buffer(request), kAsTuple);
        if (error) co_return CheckResult{false, fmt::format("request: {}", error.message())};
        std::string head;
        std::array<char, 1024> buffer;
        while (head.find('\n') == std::string::npos && head.size() < kMaxHead) {
            auto [failure, count] = co_await stream.async_read_some(asio::buffer(buffer), kAsTuple);
            if (failure) co_return CheckResult{false, fmt::format("no answer: {}", failure.message())};
            head.append(buffer.data(), count);
        }
        co_return judge_status(settings_, parse_status_line(head));
    }

    const CheckSettings settings_;
    const Address6 anycast_;
    asio::strand<asio::any_io_executor> strand_;
    tcp::socket socket_;
    asio::steady_timer deadline_;
    bool late_ = false;
};

}  // namespace

std::optional<int> parse_status_line(std::string_view head) {
    // HTTP/1.1 200 OK
    if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[8] != ' ') return std::nullopt;
    auto status = parse_integer(head.substr(9, 3), 100, 599);
    if (!status) return std::nullopt;
    if (head.size() > 12 && head[12] != ' ' && head[12] != '\r' && head[12] != '\n') return std::nullopt;
    return static_cast<int>(*status);
}

std::shared_ptr<Probe> make_network_probe(asio::any_io_executor io, CheckSettings settings, Address6 anycast) {
    return std::make_shared<NetworkProbe>(io, std::move(settings), anycast);
}

}  // namespace nett::anycast
