// What Agent is made of. Opened and joined in assembly.cpp, run in agent.cpp; nobody else includes this.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agent/agent.hpp"
#include "agent/api/server.hpp"
#include "agent/core/audit/audit.hpp"
#include "agent/core/backup/backup.hpp"
#include "agent/core/config/candidate.hpp"
#include "agent/core/host/agent_commands.hpp"
#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"
#include "agent/core/host/plugin_manager.hpp"
#include "agent/core/host/root_commands.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/lifecycle_service.hpp"
#include "agent/core/metrics/agent_metrics.hpp"
#include "agent/core/metrics/listener.hpp"
#include "agent/core/metrics/registry.hpp"
#include "agent/core/shell/shell.hpp"
#include "agent/core/store/secret_box.hpp"
#include "agent/core/store/sqlite_store.hpp"
#include "agent/core/webhooks/webhooks.hpp"
#include "agent/fabric/fabric.hpp"
#include "agent/frr/frr.hpp"
#include "agent/net/net.hpp"
#include "agent/net/route_watch.hpp"
#include "agent/replication/replication.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

// In the order of construction; destroyed in reverse.
struct Agent::Parts {
    Parts(Setup prepared, AgentSettings read, const Options& options)
        : setup(std::move(prepared)), settings(std::move(read)), config_path(options.config) {}

    Result<void> open();
    Result<void> open_replication();
    void share_artifacts();
    Result<void> open_state();
    Result<void> open_config();
    Result<void> join();
    void join_metrics();
    void join_fabric();
    Result<void> add_commands();
    void join_api();
    ArchiveSources archive_sources();
    int run();

    std::vector<Diagnostic> validate(const ConfigNode& root);
    Awaitable<Result<void>> apply(const ConfigNode& from, const ConfigNode& to);
    void put_in_force(const AgentSettings& next);
    Awaitable<void> serve_api(ApiAccessSettings next);
    Awaitable<void> start();
    Awaitable<void> reload();
    Awaitable<void> shut_down();
    Awaitable<void> watch_signals();
    Awaitable<void> keep_watchdog(std::chrono::microseconds period);
    Awaitable<void> retry_failed_plugins();
    Store& state() { return replication ? replication->store() : *store; }
    Awaitable<void> watch_unconfirmed();
    void spawn(Awaitable<void> work) { asio::co_spawn(loop, std::move(work), asio::detached); }
    void run_loop();

    Logger log{"agent"};
    Setup setup;
    AgentSettings settings;  // as at the start, but for what `commit` changes
    std::string config_path;

    RealClock clock;
    asio::io_context loop{1};
    asio::io_context io{settings.io_threads};
    asio::signal_set signals{loop, SIGTERM, SIGINT, SIGHUP};
    asio::steady_timer retry_timer{loop};
    asio::steady_timer watchdog_timer{loop};
    asio::steady_timer commit_timer{loop};
    MetricsRegistry metrics;
    LoopEventBus events{loop.get_executor(), clock};
    LoopHealthRegistry health{loop.get_executor(), clock, events};
    std::unique_ptr<SqliteStore> store;
    std::unique_ptr<SecretBox> secrets;
    std::unique_ptr<replication::Replication> replication;  // nullptr: the state is this server's own
    std::unique_ptr<Net> net;
    std::unique_ptr<PortRoutes> routes;
    std::unique_ptr<FrrAdapter> frr;
    std::unique_ptr<Inventory> inventory;
    ArtifactPeers* artifact_peers = nullptr;  // the replication's
    std::unique_ptr<LifecycleService> lifecycle;
    std::unique_ptr<ConfigManager> config;
    std::unique_ptr<Shell> shell;
    std::unique_ptr<PluginManager> plugins;
    std::unique_ptr<AgentCommandContext> command_context;
    std::unique_ptr<AgentMetrics> agent_metrics;
    AuditLog audit{clock, events, health};
    std::unique_ptr<Webhooks> webhooks;
    MetricsListener metrics_listener{loop.get_executor(), io.get_executor(), health, audit,
                                     [this] { return metrics.scrape(); }};
    std::unique_ptr<Fabric> fabric;
    std::unique_ptr<ApiServer> api;
};

}  // namespace nett
