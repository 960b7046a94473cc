// The management API on TCP with mutual TLS 1.2 or 1.3.
//
// Who calls is the common name of the client's certificate; what it may do is agent/core/access. A call without the
// right never reaches its method: gRPC asks before it starts one.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/api/certificates.hpp"
#include "agent/core/access/access.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/health.hpp"

namespace grpc {
class ServerBuilder;
class ServerContextBase;
}  // namespace grpc

namespace nett {

struct ApiTcpSettings {
    std::vector<std::string> listen;  // "[2001:db8::1]:8443"
    ApiCertificates certificates;
    Grants grants;
};

// Who (without a role: the role is empty), the method's full name, and why.
using RefusedCall =
    std::function<void(const std::string& actor, const std::string& role, std::string_view method, const Error& why)>;

// Which common name has which role. Thread-safe: gRPC's threads ask. A commit holds for calls from then on, also on
// connections that are open.
class GrantTable {
public:
    void set(Grants grants);
    Result<Caller> caller(std::string_view common_name) const;

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Grants> grants_ = std::make_shared<const Grants>();
};

// An endpoint that cannot be bound (an address that is not there yet) is tried again this often.
inline constexpr std::chrono::seconds kListenRetry{2};
// Before the certificate's end: time to renew it.
inline constexpr std::chrono::hours kExpiryWarning{14 * 24};

// Loop thread only.
class ApiTcp {
public:
    // `add_services` registers the services with each listener's builder; they outlive this. `grants` too.
    // `refused` is told of calls that the caller has no right to, on gRPC's threads.
    ApiTcp(asio::any_io_executor loop, HealthRegistry& health, GrantTable& grants,
           std::function<void(grpc::ServerBuilder&)> add_services, RefusedCall refused);
    ~ApiTcp();

    // Puts settings in force: listeners that stay keep their connections. What cannot be bound or read now is reported
    // as a health condition of "api" and tried again until stop().
    Awaitable<void> apply(ApiTcpSettings settings);
    // Ends all calls by the deadline. Idempotent.
    Awaitable<void> stop(SteadyTime deadline);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// The certificate's common name of a call that came over TCP; empty for the Unix socket.
std::string common_name_of(const grpc::ServerContextBase& context);

}  // namespace nett
