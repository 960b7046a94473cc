#include <algorithm>
#include <filesystem>

#include "agent/agent_parts.hpp"
#include "agent/api/artifact_client.hpp"
#include "agent/api/certificates.hpp"
#include "agent/api/fabric_uplink.hpp"
#include "agent/commits.hpp"
#include "agent/core/inventory/commands.hpp"
#include "agent/core/inventory/issues.hpp"
#include "agent/core/inventory/job_commands.hpp"
#include "agent/fabric/commands.hpp"
#include "agent/part_settings.hpp"
#include "agent/sdk/build_id.hpp"
#include "agent/sdk/strings.hpp"
#include "agent/setup.hpp"

namespace nett {

namespace {

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
    join_fabric();
    NETT_TRY(add_commands());
    join_api();
    return {};
}

Result<void> Agent::Parts::add_commands() {
    command_context = std::make_unique<AgentCommandContext>(
        AgentCommandContext{*plugins, health, events, clock, clock.system_now(), settings.hostname});
    NETT_TRY(shell->add_commands(agent_commands(*command_context)));
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
    return {};
}

void Agent::Parts::join_api() {
    VersionInfo version{kVersion, kBuildId, settings.hostname, {}};
    for (const auto& loaded : setup.plugins.plugins) version.plugins.emplace_back(loaded.descriptor->name);
    api = std::make_unique<ApiServer>(ApiDependencies{
        loop.get_executor(), *shell, *inventory, state(), events, health, std::move(version),
        [this](const std::string& origin, FabricReport report) { return fabric->receive(origin, std::move(report)); },
        &audit, archive_sources()});
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

Result<std::unique_ptr<Agent>> Agent::assemble(const Options& options, Setup setup) {
    auto settings = read_settings(setup.config.root);
    auto parts = std::make_unique<Parts>(std::move(setup), std::move(settings), options);
    NETT_TRY(parts->open_state());
    NETT_TRY(parts->open_config());
    NETT_TRY(parts->open());
    NETT_TRY(parts->join());
    return std::unique_ptr<Agent>(new Agent(std::move(parts)));
}

}  // namespace nett
