// The management API's server: gRPC on a Unix socket and on TCP with mutual TLS, with server reflection.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "agent/api/fabric_service.hpp"
#include "agent/api/system_service.hpp"
#include "agent/api/tcp.hpp"
#include "agent/core/audit/audit.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "agent/core/shell/shell.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// A machine config is well under 1 MiB and artifacts come in chunks: larger messages are mistakes.
inline constexpr int kMaxApiMessage = 4 << 20;

// References outlive the server.
struct ApiDependencies {
    asio::any_io_executor loop;
    Shell& shell;
    Inventory& inventory;
    Store& store;
    EventBus& events;
    HealthRegistry& health;
    VersionInfo version;
    FabricReceiver receive_fabric = {};  // empty: reports are refused
    AuditLog* audit = nullptr;           // null: changes are not recorded
    ArchiveSources archives = {};
};

// Loop thread only.
class ApiServer {
public:
    explicit ApiServer(ApiDependencies dependencies);
    ~ApiServer();

    // Binds the socket (mode 0660: who may open it is an administrator) and serves. A socket file that nobody listens
    // on is replaced; kAlreadyExists when somebody does.
    Result<void> start(const std::string& socket_path);
    // Serves on TCP what is configured, from now on; also the first time. See ApiTcp::apply.
    Awaitable<void> serve_tcp(ApiTcpSettings settings);
    // Ends all calls by the deadline and removes the socket file. Idempotent. Resumes on the loop.
    Awaitable<void> stop(SteadyTime deadline);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace nett
