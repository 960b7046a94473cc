#include "agent/api/tcp.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/api/server.hpp"
#include "agent/api/status.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

namespace {

constexpr const char* kComponent = "api";
// Memory for the buffers of all connections of a listener: more clients than the few that manage a fabric are slowed
// down, the agent is not.
constexpr std::size_t kConnectionMemory = 64U << 20U;
constexpr int kConcurrentCalls = 128;              // of one connection
constexpr int kHandshakeMilliseconds = 10'000;     // TLS included: a peer that says nothing holds its socket no longer
constexpr int kKeepaliveMilliseconds = 20'000;     // a client that vanished is found out
constexpr int kLeastPingMilliseconds = 5'000;      // that clients may ask with; below is abuse
constexpr std::chrono::seconds kStopForChange{2};  // calls of a listener that a commit removes

using AuthContext = grpc::AuthContext;

std::string first_property(const AuthContext& context, const char* name) {
    const auto values = context.FindPropertyValues(name);
    return values.empty() ? std::string() : std::string(values.front().data(), values.front().size());
}

// Asked by gRPC for each call before its method runs, on gRPC's threads.
class CallGuard final : public grpc::AuthMetadataProcessor {
public:
    CallGuard(GrantTable& grants, RefusedCall refused) : grants_(grants), refused_(std::move(refused)) {}

    bool IsBlocking() const override { return false; }

    grpc::Status Process(const InputMetadata& metadata, AuthContext* context, OutputMetadata*,
                         OutputMetadata*) override {
        const auto path = metadata.find(":path");
        if (path == metadata.end()) return {grpc::StatusCode::PERMISSION_DENIED, "a call without a method"};
        const std::string_view method(path->second.data(), path->second.size());
        const auto name = first_property(*context, "x509_common_name");
        const auto caller = grants_.caller(name);
        const auto allowed = caller ? check_need(*caller, need_of(method)) : fail(Error(caller.error()));
        if (allowed) return grpc::Status::OK;
        refused_(caller ? caller->actor : "tls:" + name, caller ? role_text(*caller) : "", method, allowed.error());
        return to_status(allowed.error());
    }

private:
    GrantTable& grants_;
    RefusedCall refused_;
};

std::shared_ptr<grpc::ServerCredentials> credentials(const ApiCertificates& files, GrantTable& grants,
                                                     const RefusedCall& refused) {
    using namespace grpc::experimental;
    auto provider = std::make_shared<FileWatcherCertificateProvider>(files.private_key, files.certificate,
                                                                     files.client_ca, kCertificateRefresh.count());
    TlsServerCredentialsOptions options(provider);
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    auto made = TlsServerCredentials(options);
    made->SetAuthMetadataProcessor(std::make_shared<CallGuard>(grants, refused));
    return made;
}

}  // namespace

void GrantTable::set(Grants grants) {
    auto next = std::make_shared<const Grants>(std::move(grants));
    const std::lock_guard lock(mutex_);
    grants_ = std::move(next);
}

Result<Caller> GrantTable::caller(std::string_view common_name) const {
    std::shared_ptr<const Grants> grants;
    {
        const std::lock_guard lock(mutex_);
        grants = grants_;
    }
    return caller_of_certificate(*grants, common_name);
}

std::string common_name_of(const grpc::ServerContextBase& context) {
    const auto authenticated = context.auth_context();
    return authenticated ? first_property(*authenticated, "x509_common_name") : std::string();
}

struct ApiTcp::Impl : std::enable_shared_from_this<ApiTcp::Impl> {
    Impl(asio::any_io_executor executor, HealthRegistry& registry, GrantTable& table,
         std::function<void(grpc::ServerBuilder&)> add, RefusedCall refusal)
        : loop(executor),
          health(registry),
          grants(table),
          add_services(std::move(add)),
          refused(std::move(refusal)),
          retry(executor) {}

    std::unique_ptr<grpc::Server> listen(const std::string& endpoint) {
        grpc::ServerBuilder builder;
        builder.SetMaxReceiveMessageSize(kMaxApiMessage);
        builder.SetResourceQuota(grpc::ResourceQuota("api").Resize(kConnectionMemory));
        builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
        builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kConcurrentCalls);
        builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMilliseconds);
        builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
        builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kHandshakeMilliseconds);
        builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
        builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingMilliseconds);
        int port = 0;
        builder.AddListeningPort(endpoint, credentials(settings.certificates, grants, refused), &port);
        add_services(builder);
        auto server = builder.BuildAndStart();
        return port == 0 ? nullptr : std::move(server);
    }

    void report(const std::string& name, HealthState state, std::string message, std::string remedy) {
        health.report({kComponent, name, HealthScope::kInfo, state, std::move(message), std::move(remedy)});
    }

    void report_listener(const std::string& endpoint, bool serving) {
        report("listener " + endpoint, serving ? HealthState::kOk : HealthState::kFailed,
               serving ? "serving" : "cannot be bound; trying again",
               serving ? "" : "see that the address is on this host and the port is free");
    }

    void report_certificates() {
        const auto ends = check_certificates(settings.certificates);
        if (!ends) {
            return report("certificate", HealthState::kFailed, ends.error().to_string(),
                          "put the right file in place; it is read again within seconds, without a restart");
        }
        const auto left = std::chrono::duration_cast<std::chrono::hours>(*ends - std::chrono::system_clock::now());
        if (left < kExpiryWarning) {
            const bool over = *ends <= std::chrono::system_clock::now();
            return report("certificate", over ? HealthState::kFailed : HealthState::kDegraded,
                          over ? "expired" : fmt::format("expires in {} hours", left.count()), "renew it");
        }
        report("certificate", HealthState::kOk, "", "");
    }

    // Binds what is not bound.
    void listen_all() {
        for (const auto& endpoint : settings.listen) {
            auto& server = servers[endpoint];
            if (server) continue;
            server = listen(endpoint);
            if (server) log.info("serving the management API", {{"listen", endpoint}});
            report_listener(endpoint, server != nullptr);
        }
    }

    Awaitable<void> shut_down(std::unique_ptr<grpc::Server> server, SteadyTime deadline) {
        if (!server) co_return;
        const auto remaining = std::max(deadline - std::chrono::steady_clock::now(), SteadyTime::duration::zero());
        auto work = [](grpc::Server& ending, SteadyTime::duration grace) -> Awaitable<void> {
            ending.Shutdown(std::chrono::system_clock::now() + grace);
            co_return;
        };
        auto ended = work(*server, remaining);
        co_await asio::co_spawn(stopper, std::move(ended), asio::use_awaitable);
    }

    // Ends the listeners that are not in `wanted`.
    Awaitable<void> drop(std::vector<std::string> wanted, SteadyTime deadline) {
        std::map<std::string, std::unique_ptr<grpc::Server>> leaving;
        for (auto& [endpoint, server] : servers) {
            if (std::find(wanted.begin(), wanted.end(), endpoint) == wanted.end()) {
                leaving.emplace(endpoint, std::move(server));
            }
        }
        for (auto& [endpoint, server] : leaving) {
            servers.erase(endpoint);
            auto ended = shut_down(std::move(server), deadline);
            co_await std::move(ended);
        }
    }

    Awaitable<void> maintain(std::shared_ptr<Impl> self) {
        while (!stopping) {
            retry.expires_after(kListenRetry);
            boost::system::error_code ignored;
            co_await retry.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            if (stopping || changing || settings.listen.empty()) continue;
            listen_all();
            report_certificates();
        }
    }

    Logger log{"api"};
    asio::any_io_executor loop;
    HealthRegistry& health;
    GrantTable& grants;
    std::function<void(grpc::ServerBuilder&)> add_services;
    RefusedCall refused;
    asio::steady_timer retry;
    ApiTcpSettings settings;
    std::map<std::string, std::unique_ptr<grpc::Server>> servers;  // by endpoint; null: not bound yet
    asio::thread_pool stopper{1};                                  // Shutdown() blocks
    bool maintaining = false;
    bool changing = false;
    bool stopping = false;
};

ApiTcp::ApiTcp(asio::any_io_executor loop, HealthRegistry& health, GrantTable& grants,
               std::function<void(grpc::ServerBuilder&)> add_services, RefusedCall refused)
    : impl_(std::make_shared<Impl>(loop, health, grants, std::move(add_services), std::move(refused))) {}
ApiTcp::~ApiTcp() = default;

Awaitable<void> ApiTcp::apply(ApiTcpSettings settings) {
    const auto impl = impl_;
    impl->grants.set(settings.grants);
    const bool same_files = settings.certificates == impl->settings.certificates;
    if (same_files && settings.listen == impl->settings.listen) co_return;
    impl->changing = true;
    auto stay = same_files ? settings.listen : std::vector<std::string>{};
    impl->settings = std::move(settings);
    auto dropped = impl->drop(std::move(stay), std::chrono::steady_clock::now() + kStopForChange);
    co_await std::move(dropped);
    impl->changing = false;
    impl->health.forget(kComponent);
    if (impl->settings.listen.empty()) co_return;
    for (const auto& [endpoint, server] : impl->servers) impl->report_listener(endpoint, server != nullptr);
    impl->listen_all();
    impl->report_certificates();
    if (!std::exchange(impl->maintaining, true)) asio::co_spawn(impl->loop, impl->maintain(impl), asio::detached);
}

Awaitable<void> ApiTcp::stop(SteadyTime deadline) {
    const auto impl = impl_;
    impl->stopping = true;
    impl->retry.cancel();
    auto dropped = impl->drop({}, deadline);
    co_await std::move(dropped);
}

}  // namespace nett
