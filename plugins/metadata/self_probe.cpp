#include "plugins/metadata/self_probe.hpp"

#include <array>
#include <memory>

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "plugins/metadata/self_identity.hpp"

namespace nett::metadata {

namespace {

namespace ssl = asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using Kind = SelfProbeResult::Kind;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
// No resource of that name: the answer is 404, and nothing is counted against a tenant or a machine.
constexpr std::string_view kRequest = "GET /v1/self HTTP/1.1\r\nHost: self\r\nConnection: close\r\n\r\n";

// One connection; a timer closes it at the deadline.
class SelfProbe : public std::enable_shared_from_this<SelfProbe> {
public:
    SelfProbe(asio::any_io_executor io, std::shared_ptr<const TlsContext> tls)
        : tls_(std::move(tls)), socket_(io), deadline_(io) {}

    Awaitable<SelfProbeResult> run(tcp::endpoint listener) {
        deadline_.expires_after(kSelfProbeTimeout);
        deadline_.async_wait([self = shared_from_this()](const error_code& error) {
            if (error) return;
            self->late_ = true;
            error_code ignored;
            self->socket_.close(ignored);
        });
        const auto begun = std::chrono::steady_clock::now();
        auto result = co_await ask(listener);
        deadline_.cancel();
        if (late_) result = {Kind::kFailed, fmt::format("no answer within {} ms", kSelfProbeTimeout.count())};
        if (result.kind == Kind::kAnswered) {
            const auto took = std::chrono::steady_clock::now() - begun;
            result.message +=
                fmt::format(" in {} ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
        }
        co_return result;
    }

private:
    static SelfProbeResult failed(std::string_view what, const error_code& error) {
        return {Kind::kFailed, fmt::format("{}: {}", what, error.message())};
    }

    Awaitable<SelfProbeResult> ask(tcp::endpoint listener) {
        const auto wildcard = listener.address().is_unspecified();
        if (wildcard) listener.address(Address6::loopback());
        error_code error;
        socket_.open(tcp::v6(), error);
        // Never another server: what is not on this host cannot be reached through its loopback device.
        if (::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0)
            co_return SelfProbeResult{Kind::kNotHere, "not asked: the socket cannot be bound to lo"};
        if (!error) socket_.bind(tcp::endpoint(Address6::loopback(), 0), error);
        if (error) co_return failed("socket", error);
        auto [refused] = co_await socket_.async_connect(listener, kAsTuple);
        if (refused == asio::error::network_unreachable || refused == asio::error::host_unreachable)
            co_return SelfProbeResult{Kind::kNotHere, "not asked: the address is not on this host"};
        if (refused) co_return failed("connect", refused);
        co_return co_await over_tls();
    }

    Awaitable<SelfProbeResult> over_tls() {
        ssl::context context(ssl::context::tls_client);
        SSL_CTX_use_certificate(context.native_handle(), self_identity().certificate.get());
        SSL_CTX_use_PrivateKey(context.native_handle(), self_identity().key.get());
        ssl::stream<tcp::socket&> stream(socket_, context);
        auto [refused] = co_await stream.async_handshake(ssl::stream_base::client, kAsTuple);
        if (refused) co_return failed("TLS", refused);
        X509* shown = SSL_get0_peer_certificate(stream.native_handle());
        if (shown == nullptr || describe(shown).sha256 != tls_->certificate.sha256)
            co_return SelfProbeResult{Kind::kFailed, "another certificate than the configured one is shown"};
        auto [unsent, sent] = co_await asio::async_write(stream, asio::buffer(kRequest), kAsTuple);
        if (unsent) co_return failed("request", unsent);
        std::array<char, 64> head{};
        auto [silent, count] = co_await stream.async_read_some(asio::buffer(head), kAsTuple);
        if (silent) co_return failed("no answer", silent);
        if (!std::string_view(head.data(), count).starts_with("HTTP/1.1 "))
            co_return SelfProbeResult{Kind::kFailed, "the answer is not HTTP"};
        co_return SelfProbeResult{Kind::kAnswered, "answers its own request over mutual TLS"};
    }

    std::shared_ptr<const TlsContext> tls_;
    tcp::socket socket_;
    asio::steady_timer deadline_;
    bool late_ = false;
};

}  // namespace

Awaitable<SelfProbeResult> probe_self(asio::any_io_executor io, tcp::endpoint listener,
                                      std::shared_ptr<const TlsContext> tls) {
    const auto strand = asio::make_strand(io);
    auto probe = std::make_shared<SelfProbe>(strand, std::move(tls));
    auto asking = probe->run(listener);
    co_return co_await asio::co_spawn(strand, std::move(asking), asio::use_awaitable);
}

HealthCondition answer_condition(const SelfProbeResult& last, int failures) {
    HealthCondition condition{"metadata", "answer", HealthScope::kLocal, HealthState::kOk, last.message, {}, {}};
    if (last.kind == Kind::kFailed) {
        condition.state = failures >= kSelfProbeFall ? HealthState::kFailed : HealthState::kDegraded;
        condition.remedy = "see \"show metadata\" and the log; restart the agent if it hangs";
    }
    return condition;
}

}  // namespace nett::metadata
