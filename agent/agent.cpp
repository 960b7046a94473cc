#include "agent/agent.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/agent_parts.hpp"
#include "agent/core/host/notify.hpp"
#include "agent/part_settings.hpp"
#include "agent/sdk/build_id.hpp"

namespace nett {

namespace {

constexpr std::chrono::seconds kStopDeadline{10};  // below systemd's TimeoutStopSec of the unit
constexpr std::chrono::seconds kCommitLook{1};     // `commit confirmed` counts in minutes

}  // namespace

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

int Agent::run() {
    return parts_->run();
}

}  // namespace nett
