#include "agent/agent.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/api/artifact_client.hpp"
#include "agent/api/certificates.hpp"
#include "agent/api/fabric_uplink.hpp"
#include "agent/api/server.hpp"
#include "agent/commits.hpp"
#include "agent/core/audit/audit.hpp"
#include "agent/core/backup/backup.hpp"
#include "agent/core/config/candidate.hpp"
#include "agent/core/host/agent_commands.hpp"
#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"
#include "agent/core/host/notify.hpp"
#include "agent/core/host/plugin_manager.hpp"
#include "agent/core/host/root_commands.hpp"
#include "agent/core/inventory/commands.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/issues.hpp"
#include "agent/core/inventory/job_commands.hpp"
#include "agent/core/inventory/lifecycle_service.hpp"
#include "agent/core/metrics/agent_metrics.hpp"
#include "agent/core/metrics/listener.hpp"
#include "agent/core/metrics/registry.hpp"
#include "agent/core/shell/shell.hpp"
#include "agent/core/store/secret_box.hpp"
#include "agent/core/store/sqlite_store.hpp"
#include "agent/core/webhooks/webhooks.hpp"
#include "agent/fabric/commands.hpp"
#include "agent/fabric/fabric.hpp"
#include "agent/frr/frr.hpp"
#include "agent/net/net.hpp"
#include "agent/net/route_watch.hpp"
#include "agent/replication/replication.hpp"
#include "agent/sdk/address.hpp"
#include "agent/sdk/build_id.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::chrono::seconds kStopDeadline{10};  // below systemd's TimeoutStopSec of the unit
constexpr std::chrono::seconds kCommitLook{1};     // `commit confirmed` counts in minutes

FrrSettings frr_settings(const FrrTargets& targets) {
    return {targets.vtysh_backend,
            targets.zebra,
            targets.bgpd,
            targets.vtysh_path,
            {"--vty_socket", targets.vtysh_socket_directory}};
}

ApiCertificates certificates(const ApiAccessSettings& access) {
    return {access.certificate, access.private_key, access.client_ca};
}

FabricSettings fabric_settings(const ApiAccessSettings& access) {
    FabricSettings out{access.stable_time, {}, {}};
    for (const auto& upstream : access.upstreams) out.upstreams.push_back({upstream.endpoint, upstream.server_name});
    out.identity = fmt::format("{} {} {}", access.certificate, access.private_key, access.client_ca);
    return out;
}

AuditEntry shell_entry(const Caller& caller, const std::string& text, const Result<void>& result) {
    std::string detail;
    for (const auto line : split(text, '\n')) detail += redact_line(line) + "\n";
    detail.pop_back();
    return {caller.actor,
            role_text(caller),
            "shell",
            std::move(detail),
            result ? "OK" : std::string(to_string(result.error().code)),
            result ? "" : redact_line(result.error().to_string())};
}

replication::Settings replication_settings(const StateSettings& state) {
    return {{state.etcd, state.certificate, state.private_key, state.server_ca, state.server_name},
            state.prefix,
            state.max_lag};
}

// Where other servers call this one: the first address that is not this host's alone.
std::string endpoint_for_servers(const std::vector<std::string>& listen) {
    for (const auto& endpoint : listen) {
        const auto parsed = parse_endpoint6(endpoint);
        if (parsed && !parsed->address().is_loopback()) return endpoint;
    }
    return "";
}

// The directory of a file that nettd makes itself.
Result<void> make_parent(const std::string& file) {
    std::error_code error;
    const auto parent = std::filesystem::path(file).parent_path();
    if (!parent.empty()) std::filesystem::create_directories(parent, error);
    if (error)
        return fail(
            Error{Code::kPermissionDenied, fmt::format("cannot be made: {}", error.message()), parent.string()});
    return {};
}

}  // namespace

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
    MetricsListener metrics_listener{loop.get_executor(), io.get_executor(), health,
                                     [this] { return metrics.scrape(); }};
    std::unique_ptr<Fabric> fabric;
    std::unique_ptr<ApiServer> api;
};

// First: its lock keeps a second agent from everything below.
Result<void> Agent::Parts::open_state() {
    NETT_TRY(make_parent(settings.state_file));
    auto opened = SqliteStore::open(settings.state_file, loop.get_executor());
    if (!opened) return fail(std::move(opened.error()));
    store = std::move(*opened);
    return {};
}

// Everything else that may be refused from outside.
Result<void> Agent::Parts::open() {
    for (const auto& file : {settings.secret_key_file, settings.api_socket}) NETT_TRY(make_parent(file));
    auto opened_secrets = open_secret_box(settings.secret_key_file);
    if (!opened_secrets) return fail(std::move(opened_secrets.error()));
    secrets = std::move(*opened_secrets);
    NETT_TRY(open_replication());
    auto opened_net = make_net(loop.get_executor());
    if (!opened_net) return fail(std::move(opened_net.error()).in("rtnetlink"));
    net = std::move(*opened_net);
    auto opened_routes = make_port_routes(loop.get_executor());
    if (!opened_routes) return fail(std::move(opened_routes.error()).in("rtnetlink"));
    routes = std::move(*opened_routes);
    auto opened_inventory = Inventory::open({state(), *secrets, events, clock}, settings.artifact_directory);
    if (!opened_inventory) return fail(std::move(opened_inventory.error()));
    inventory = std::move(*opened_inventory);
    share_artifacts();
    lifecycle = std::make_unique<LifecycleService>(loop.get_executor(), state(), *inventory, events, clock);
    return {};
}

Result<void> Agent::Parts::open_replication() {
    if (settings.state.etcd.empty()) return {};
    auto opened = replication::Replication::open(
        {loop.get_executor(), clock, *store, *secrets, health, events, settings.hostname, kVersion},
        replication_settings(settings.state));
    if (!opened) return fail(std::move(opened.error()));
    replication = std::move(*opened);
    return {};
}

void Agent::Parts::share_artifacts() {
    if (!replication) return;
    auto downloader = make_artifact_downloader(loop.get_executor(), [this] { return certificates(settings.api); });
    artifact_peers = &replication->share_artifacts(inventory->artifact_files(), std::move(downloader), metrics);
}

// The configuration of this run: the file's, or that of a commit that waits for its confirmation.
Result<void> Agent::Parts::open_config() {
    auto commits = CommitLog::open(commit_folder(store->path()));
    if (!commits) return fail(std::move(commits.error()));
    auto actor = resume_unconfirmed(*commits, clock.system_now(), setup);
    settings = read_settings(setup.config.root);
    set_log_level(settings.log_level);
    set_log_format(settings.log_format);
    set_component_log_levels(settings.component_levels);
    config = std::make_unique<ConfigManager>(
        setup.grammar, clock, config_path,
        ConfigActions{[this](const ConfigNode& root) { return validate(root); },
                      [this](const ConfigNode& from, const ConfigNode& to) { return apply(from, to); }},
        std::move(*commits));
    config->set_running(setup.config.root, std::move(actor));
    return {};
}

// Joins the rooms. Errors here are mistakes of the build or of a plugin.
Result<void> Agent::Parts::join() {
    frr = make_frr(loop.get_executor(), clock, events, health, frr_settings(settings.frr));
    shell = std::make_unique<Shell>(
        setup.grammar, *config, clock,
        ShellSettings{[this] { return settings.hostname; },
                      {},
                      [this](const Caller& caller, std::string line, const Result<void>& result) {
                          audit.record(shell_entry(caller, line, result));
                      }});
    join_metrics();
    const Host host{
        loop.get_executor(), io.get_executor(),           clock,   events,        health, state(), *secrets, *frr, *net,
        settings.hostname,   settings.artifact_directory, metrics, artifact_peers};
    plugins = std::make_unique<PluginManager>(host, setup.plugins.plugins, [this](std::vector<OpCommand> commands) {
        return shell->add_commands(std::move(commands));
    });
    command_context = std::make_unique<AgentCommandContext>(
        AgentCommandContext{*plugins, health, events, clock, clock.system_now(), settings.hostname});
    NETT_TRY(shell->add_commands(agent_commands(*command_context)));
    join_fabric();
    auto about_machines = inventory_commands(*inventory);
    for (auto& command : about_machines) {
        if (command.pattern.starts_with("show machine {")) command = with_fabric_condition(std::move(command), *fabric);
    }
    NETT_TRY(shell->add_commands(std::move(about_machines)));
    NETT_TRY(shell->add_commands(job_commands(*inventory, state())));
    NETT_TRY(shell->add_commands(issue_commands(*inventory, clock)));
    for (auto& [name, source] : inventory_completions(*inventory))
        shell->add_completion_source(name, std::move(source));
    shell->add_completion_source("interfaces", interface_names);
    shell->add_completion_source("event-types", [this] { return event_types(events); });

    NETT_TRY(shell->add_commands(fabric_commands(*fabric)));
    NETT_TRY(shell->add_commands(replication::replication_commands(replication.get(), *store)));
    NETT_TRY(shell->add_commands(webhook_show_commands(*webhooks)));
    VersionInfo version{kVersion, kBuildId, settings.hostname, {}};
    for (const auto& loaded : setup.plugins.plugins) version.plugins.emplace_back(loaded.descriptor->name);
    api = std::make_unique<ApiServer>(ApiDependencies{
        loop.get_executor(), *shell, *inventory, state(), events, health, std::move(version),
        [this](const std::string& origin, FabricReport report) { return fabric->receive(origin, std::move(report)); },
        &audit, archive_sources()});
    return {};
}

void Agent::Parts::join_metrics() {
    store->measure_commits(
        metrics
            .histogram({"nett_store_commit_seconds", "From a commit's submission until it is on disk."},
                       latency_bounds())
            .with());
    auto api_certificate_end = [this]() -> std::optional<SystemTime> {
        const auto files = certificates(settings.api);
        if (!files.complete()) return std::nullopt;
        const auto end = check_certificates(files);
        return end ? std::optional(*end) : std::nullopt;
    };
    webhooks = std::make_unique<Webhooks>(
        WebhooksEnvironment{loop.get_executor(), clock, events, health, *store, metrics, settings.hostname});
    agent_metrics = std::make_unique<AgentMetrics>(AgentMetricsSources{
        metrics, events, health, *store, *frr, kVersion, clock.system_now(), std::move(api_certificate_end)});
}

ArchiveSources Agent::Parts::archive_sources() {
    const auto backup = [this] {
        return BackupSource{kVersion,
                            settings.hostname,
                            std::filesystem::absolute(config_path).lexically_normal(),
                            store->path(),
                            settings.secret_key_file,
                            settings.artifact_directory,
                            named_files(setup.grammar, config->running())};
    };
    const auto support = [this]() -> Awaitable<std::vector<SupportFile>> {
        auto work = shell->show_all({"system", Role::kAdmin});
        std::vector<SupportFile> files;
        for (auto& shown : co_await std::move(work)) {
            std::replace(shown.command.begin(), shown.command.end(), ' ', '-');
            if (!shown.json.empty()) files.push_back({shown.command + ".json", std::move(shown.json)});
            files.push_back({shown.command + ".txt", std::move(shown.text)});
        }
        co_return files;
    };
    return {backup, support};
}

void Agent::Parts::join_fabric() {
    auto make_uplink = [this](const FabricSettings::Upstream& upstream) {
        return make_fabric_uplink(loop.get_executor(),
                                  {upstream.endpoint, upstream.server_name, certificates(settings.api)});
    };
    fabric = std::make_unique<Fabric>(
        FabricDependencies{{loop.get_executor(), clock, state(), *net, *routes, settings.hostname},
                           events,
                           health,
                           std::move(make_uplink)});
}

std::vector<Diagnostic> Agent::Parts::validate(const ConfigNode& root) {
    auto findings = restart_warnings(settings, root);
    for (auto& finding : validate_root(root)) findings.push_back(std::move(finding));
    auto found = PluginManager::validate(setup.plugins.plugins, root, {interface_names(), false});
    std::move(found.begin(), found.end(), std::back_inserter(findings));
    return findings;
}

Awaitable<Result<void>> Agent::Parts::apply(const ConfigNode& from, const ConfigNode& to) {
    NETT_CO_TRY(co_await plugins->apply(from, to));
    const auto next = read_settings(to);
    put_in_force(next);
    metrics_listener.apply(next.metrics);
    auto served = serve_api(next.api);
    co_await std::move(served);
    co_return Result<void>{};
}

// The settings that need no restart.
void Agent::Parts::put_in_force(const AgentSettings& next) {
    set_log_level(next.log_level);
    set_log_format(next.log_format);
    set_component_log_levels(next.component_levels);
    audit.set_file(next.audit_file);
    webhooks->apply(next.webhooks);
    settings.log_level = next.log_level;
    settings.log_format = next.log_format;
    if (settings.frr == next.frr) return;
    settings.frr = next.frr;
    frr->reconfigure(frr_settings(next.frr));
}

// What goes between hosts. Nothing here can fail a commit: what is not possible now is a health condition, and tried
// on.
Awaitable<void> Agent::Parts::serve_api(ApiAccessSettings next) {
    settings.api = std::move(next);
    const auto& access = settings.api;
    ApiTcpSettings tcp{access.listen, certificates(access), access.grants};
    auto served = api->serve_tcp(std::move(tcp));
    co_await std::move(served);
    auto joined = fabric->apply(fabric_settings(access));
    co_await std::move(joined);
    if (replication) {
        const auto& given = settings.state.artifact_endpoint;
        replication->set_artifact_endpoint(given.empty() ? endpoint_for_servers(access.listen) : given);
    }
}

Awaitable<void> Agent::Parts::start() {
    auto served = serve_api(settings.api);
    co_await std::move(served);
    if (replication) replication->start();
    lifecycle->start();
    metrics_listener.apply(settings.metrics);
    audit.set_file(settings.audit_file);
    webhooks->start(settings.webhooks);
    co_await plugins->start(config->running());
    notify_ready(fmt::format("{} plugins", plugins->status().size()));
    log.info("ready", {{"version", kVersion}, {"hostname", settings.hostname}, {"api", settings.api_socket}});
    events.publish({"agent.started", settings.hostname, "the agent is ready", {}});
}

Awaitable<void> Agent::Parts::reload() {
    notify_reloading();
    audit.reopen();
    auto report = co_await config->reload("signal");
    if (!report) {
        log.error("the configuration file is refused; the running configuration stays", {{"error", report.error()}});
    } else if (auto refreshed = co_await plugins->refresh(config->running()); !refreshed) {
        log.error("a plugin keeps what it had", {{"error", refreshed.error()}});
    } else {
        log.info("reloaded", {{"changed", report->changed}});
    }
    audit.record({"signal", "admin", "reload", config_path, report ? "OK" : std::string(to_string(report.error().code)),
                  report ? "" : report.error().to_string()});
    notify_ready("reloaded");
}

Awaitable<void> Agent::Parts::shut_down() {
    notify_stopping();
    log.info("stopping");
    const auto deadline = clock.steady_now() + kStopDeadline;
    retry_timer.cancel();
    watchdog_timer.cancel();
    commit_timer.cancel();
    co_await plugins->stop(deadline);
    co_await fabric->stop();
    co_await lifecycle->stop();
    co_await metrics_listener.stop();
    co_await webhooks->stop();
    co_await api->stop(deadline);
    if (replication) co_await replication->stop();
    frr->stop();
    loop.stop();
}

Awaitable<void> Agent::Parts::watch_signals() {
    for (;;) {
        const int signal = co_await signals.async_wait(asio::use_awaitable);
        if (signal != SIGHUP) co_return co_await shut_down();
        co_await reload();
    }
}

Awaitable<void> Agent::Parts::keep_watchdog(std::chrono::microseconds period) {
    for (;;) {
        watchdog_ping();
        watchdog_timer.expires_after(period);
        co_await watchdog_timer.async_wait(asio::use_awaitable);
    }
}

Awaitable<void> Agent::Parts::retry_failed_plugins() {
    for (;;) {
        retry_timer.expires_after(kStartRetry);
        co_await retry_timer.async_wait(asio::use_awaitable);
        co_await plugins->retry_failed(config->running());
    }
}

// Takes back what nobody confirms. What cannot be taken back now is tried on: it may be what keeps the operator out.
Awaitable<void> Agent::Parts::watch_unconfirmed() {
    bool told = false;
    for (;;) {
        commit_timer.expires_after(kCommitLook);
        co_await commit_timer.async_wait(asio::use_awaitable);
        auto work = config->take_back_unconfirmed();
        const auto taken = co_await std::move(work);
        if (!taken && !told) log.error("an unconfirmed commit cannot be taken back", {{"error", taken.error()}});
        told = !taken;
        if (!taken || !*taken) continue;
        log.warning("a commit was not confirmed in time and is taken back", {{"revision", config->revision()}});
        events.publish({"config.taken-back", settings.hostname, "a commit was not confirmed in time", {}});
    }
}

void Agent::Parts::run_loop() {
    for (;;) {
        try {
            loop.run();
            return;
        } catch (const std::exception& exception) {
            // A handler that throws is a defect, but the port of a switch must not go dark for it.
            log.error("a handler threw; going on", {{"error", exception.what()}});
        }
    }
}

int Agent::Parts::run() {
    if (auto served = api->start(settings.api_socket); !served) {
        log.error("the management API cannot be served", {{"error", served.error()}});
        return EXIT_FAILURE;
    }
    const auto keep_io = asio::make_work_guard(io);
    std::vector<std::thread> io_threads;
    for (int i = 0; i < settings.io_threads; ++i) io_threads.emplace_back([this] { io.run(); });
    spawn(watch_signals());
    spawn(start());
    spawn(retry_failed_plugins());
    spawn(watch_unconfirmed());
    if (const auto period = watchdog_period()) spawn(keep_watchdog(*period));
    run_loop();
    io.stop();
    for (auto& thread : io_threads) thread.join();
    return EXIT_SUCCESS;
}

Agent::Agent(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::assemble(const Options& options, Setup setup) {
    auto settings = read_settings(setup.config.root);
    auto parts = std::make_unique<Parts>(std::move(setup), std::move(settings), options);
    NETT_TRY(parts->open_state());
    NETT_TRY(parts->open_config());
    NETT_TRY(parts->open());
    NETT_TRY(parts->join());
    return std::unique_ptr<Agent>(new Agent(std::move(parts)));
}

int Agent::run() {
    return parts_->run();
}

}  // namespace nett
