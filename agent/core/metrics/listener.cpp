#include "agent/core/metrics/listener.hpp"

#include <cerrno>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <utility>

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "agent/sdk/log.hpp"
#include "agent/sdk/unique_fd.hpp"

namespace nett {

namespace {

namespace ssl = asio::ssl;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr const char* kComponent = "metrics";

// Asio opens sockets without SOCK_CLOEXEC, so the socket is made here.
Result<UniqueFd> listening_socket(const tcp::endpoint& endpoint) {
    const auto failed = [](const char* what) { return fail(Code::kUnavailable, "{}: {}", what, std::strerror(errno)); };
    UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (!fd) return failed("socket");
    const int on = 1;
    if (::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return failed("IPV6_V6ONLY");
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return failed("SO_REUSEADDR");
    if (::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) return failed("bind");
    if (::listen(fd.get(), kMaxScrapers) != 0) return failed("listen");
    return fd;
}

Result<void> load_files(ssl::context& context, const MetricsSettings& settings) {
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
    error_code error;
    const auto unusable = [&error](const std::string& path) {
        ERR_clear_error();
        return fail(Error{Code::kFailedPrecondition, error.message(), path});
    };
    context.use_certificate_chain_file(settings.certificate, error);
    if (error) return unusable(settings.certificate);
    context.use_private_key_file(settings.private_key, ssl::context::pem, error);
    if (error) return unusable(settings.private_key);
    context.load_verify_file(settings.client_ca, error);
    if (error) return unusable(settings.client_ca);
    return {};
}

std::string common_name_of(SSL* tls) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(tls), X509_free);
    if (!certificate) return {};
    char name[256] = {};  // ub-common-name is 64 (RFC 5280, appendix A.1)
    const int size =
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
    return size > 0 ? std::string(name, static_cast<std::size_t>(size)) : std::string();
}

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

Response answer(const Request& request, http::status status, std::string text) {
    Response out(status, request.version());
    out.set(http::field::content_type,
            status == http::status::ok ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8");
    out.set(http::field::connection, "close");
    if (status == http::status::method_not_allowed) out.set(http::field::allow, "GET, HEAD");
    out.body() = std::move(text);
    out.prepare_payload();
    if (request.method() == http::verb::head) out.body().clear();
    return out;
}

// What is wrong with a request; nullopt: it may be answered.
std::optional<Response> refusal(const Request& request, bool allowed) {
    if (!allowed) return answer(request, http::status::forbidden, "this certificate has no role of this agent's API\n");
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        return answer(request, http::status::method_not_allowed, "only GET and HEAD\n");
    }
    const auto path = request.target().substr(0, request.target().find('?'));
    if (path != "/metrics") return answer(request, http::status::not_found, "the metrics are at /metrics\n");
    return std::nullopt;
}

}  // namespace

struct MetricsListener::Impl : std::enable_shared_from_this<MetricsListener::Impl> {
    using Stream = beast::tcp_stream;

    Impl(asio::any_io_executor loop_executor, asio::any_io_executor io_executor, HealthRegistry& registry,
         AuditLog& audit_log, std::function<std::string()> make)
        : loop(loop_executor),
          io(std::move(io_executor)),
          health(registry),
          audit(audit_log),
          scrape(std::move(make)),
          retry(loop_executor),
          ended(loop_executor) {}

    void report(const std::string& name, HealthState state, std::string message, std::string remedy) {
        health.report({kComponent, name, HealthScope::kInfo, state, std::move(message), std::move(remedy)});
    }

    Result<void> open(const std::string& endpoint) {
        const auto parsed = parse_endpoint6(endpoint);
        if (!parsed) return fail(parsed.error());
        auto fd = listening_socket(*parsed);
        if (!fd) return fail(std::move(fd.error()));
        auto acceptor = std::make_shared<tcp::acceptor>(loop);
        error_code error;
        acceptor->assign(tcp::v6(), fd->get(), error);
        if (error) return fail(Code::kInternal, "{}", error.message());
        fd->release();
        acceptors[endpoint] = acceptor;
        asio::co_spawn(loop, accept(shared_from_this(), acceptor, endpoint), asio::detached);
        return {};
    }

    void open_missing() {
        for (const auto& one : settings.listen) {
            if (acceptors.contains(one.endpoint)) continue;
            const auto opened = open(one.endpoint);
            report("listener " + one.endpoint, opened ? HealthState::kOk : HealthState::kFailed,
                   opened ? "serving" : opened.error().to_string(),
                   opened ? "" : "see that the address is on this host and the port is free");
            if (opened) log.info("serving metrics", {{"listen", one.endpoint}, {"plain", one.plain ? "yes" : "no"}});
        }
    }

    Awaitable<void> keep_open(std::shared_ptr<Impl> self) {
        while (!stopping) {
            retry.expires_after(kMetricsRetry);
            co_await retry.async_wait(kAsTuple);
            if (!stopping) open_missing();
        }
    }

    Awaitable<void> accept(std::shared_ptr<Impl> self, std::shared_ptr<tcp::acceptor> acceptor, std::string endpoint) {
        while (acceptor->is_open()) {
            auto [error] = co_await acceptor->async_wait(tcp::acceptor::wait_read, kAsTuple);
            if (error || !acceptor->is_open()) co_return;
            UniqueFd fd(::accept4(acceptor->native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (fd) {
                take(std::move(fd), endpoint);
                continue;
            }
            if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) continue;
            // Out of descriptors: the connection stays in the queue, so without a pause this would spin.
            asio::steady_timer pause(loop, kMetricsRetry);
            co_await pause.async_wait(kAsTuple);
        }
    }

    void take(UniqueFd fd, const std::string& endpoint) {
        const auto listen = std::find_if(settings.listen.begin(), settings.listen.end(),
                                         [&](const auto& one) { return one.endpoint == endpoint; });
        if (stopping || listen == settings.listen.end() || streams.size() >= kMaxScrapers) return;
        auto stream = std::make_shared<Stream>(asio::make_strand(io));
        error_code error;
        stream->socket().assign(tcp::v6(), fd.get(), error);
        if (error) return;
        fd.release();
        streams.push_back(stream);
        auto work = listen->plain ? serve_plain(stream) : serve_secured(stream, settings);
        asio::co_spawn(stream->get_executor(), std::move(work),
                       [self = shared_from_this(), stream](const std::exception_ptr&) {
                           asio::post(self->loop, [self, stream] { self->forget(stream); });
                       });
    }

    void forget(const std::shared_ptr<Stream>& stream) {
        streams.remove(stream);
        if (streams.empty()) ended.cancel();
    }

    Awaitable<void> serve_plain(std::shared_ptr<Stream> stream) { co_await respond(*stream, *stream, true); }

    Awaitable<void> serve_secured(std::shared_ptr<Stream> stream, MetricsSettings files) {
        ssl::context context(ssl::context::tls_server);
        if (const auto loaded = load_files(context, files); !loaded) {
            report("certificate", HealthState::kFailed, loaded.error().to_string(),
                   "put the right file in place; it is read for each scrape");
            co_return;
        }
        report("certificate", HealthState::kOk, "", "");
        ssl::stream<Stream&> secured(*stream, context);
        stream->expires_after(kScrapeTimeout);
        auto [error] = co_await secured.async_handshake(ssl::stream_base::server, kAsTuple);
        if (error) co_return;
        co_await respond(secured, *stream, is_allowed(files.grants, common_name_of(secured.native_handle())));
        stream->expires_after(kScrapeTimeout);
        co_await secured.async_shutdown(kAsTuple);
        ERR_clear_error();
    }

    bool is_allowed(const Grants& grants, const std::string& name) {
        const auto caller = caller_of_certificate(grants, name);
        if (caller && caller->scope == Scope::kAgent) return true;
        audit.record({"tls:" + name, caller ? role_text(*caller) : "", "metrics", "",
                      std::string(to_string(Code::kPermissionDenied)),
                      caller ? role_text(*caller) + " does not read metrics" : caller.error().to_string()});
        return false;
    }

    template <typename Any>
    Awaitable<void> respond(Any& any, Stream& stream, bool allowed) {
        beast::flat_buffer buffer(kMaxScrapeHead);
        http::request_parser<http::empty_body> parser;
        parser.header_limit(kMaxScrapeHead);
        stream.expires_after(kScrapeTimeout);
        auto [read_error, read] = co_await http::async_read(any, buffer, parser, kAsTuple);
        if (read_error) co_return;
        auto response = refusal(parser.get(), allowed);
        if (!response) {
            auto work = make_text();
            auto text = co_await asio::co_spawn(loop, std::move(work), asio::use_awaitable);
            response = answer(parser.get(), http::status::ok, std::move(text));
        }
        stream.expires_after(kScrapeTimeout);
        co_await http::async_write(any, *response, kAsTuple);
    }

    Awaitable<std::string> make_text() { co_return scrape(); }

    Logger log{"metrics"};
    asio::any_io_executor loop;
    asio::any_io_executor io;
    HealthRegistry& health;
    AuditLog& audit;
    std::function<std::string()> scrape;
    asio::steady_timer retry;
    asio::steady_timer ended;
    MetricsSettings settings;
    std::map<std::string, std::shared_ptr<tcp::acceptor>> acceptors;  // by endpoint
    std::list<std::shared_ptr<Stream>> streams;                       // loop thread
    bool keeping = false;
    bool stopping = false;
};

MetricsListener::MetricsListener(asio::any_io_executor loop, asio::any_io_executor io, HealthRegistry& health,
                                 AuditLog& audit, std::function<std::string()> scrape)
    : impl_(std::make_shared<Impl>(std::move(loop), std::move(io), health, audit, std::move(scrape))) {}
MetricsListener::~MetricsListener() = default;

void MetricsListener::apply(MetricsSettings settings) {
    if (settings == impl_->settings) return;
    const bool same_listeners = settings.listen == impl_->settings.listen;
    impl_->settings = std::move(settings);
    if (same_listeners) return;
    impl_->health.forget(kComponent);
    error_code ignored;
    for (const auto& [endpoint, acceptor] : impl_->acceptors) acceptor->close(ignored);
    impl_->acceptors.clear();
    impl_->open_missing();
    if (impl_->settings.listen.empty() || std::exchange(impl_->keeping, true)) return;
    asio::co_spawn(impl_->loop, impl_->keep_open(impl_), asio::detached);
}

Awaitable<void> MetricsListener::stop() {
    const auto impl = impl_;
    impl->stopping = true;
    impl->retry.cancel();
    error_code ignored;
    for (const auto& [endpoint, acceptor] : impl->acceptors) acceptor->close(ignored);
    impl->acceptors.clear();
    for (const auto& stream : impl->streams) {
        asio::post(stream->get_executor(), [stream] { stream->close(); });
    }
    while (!impl->streams.empty()) {
        impl->ended.expires_after(kScrapeTimeout);
        co_await impl->ended.async_wait(kAsTuple);
    }
}

}  // namespace nett
