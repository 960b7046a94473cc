// The plugin: puts tenants, recorder, service and server together, and says how they are.
#include "agent/sdk/plugin.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/json.hpp>

#include "agent/sdk/build_id.hpp"
#include "agent/sdk/task_group.hpp"
#include "plugins/metadata/artifacts.hpp"
#include "plugins/metadata/boot_metrics.hpp"
#include "plugins/metadata/disk_health.hpp"
#include "plugins/metadata/handover.hpp"
#include "plugins/metadata/health_checks.hpp"
#include "plugins/metadata/late_wipes.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/recorder.hpp"
#include "plugins/metadata/self_probe.hpp"
#include "plugins/metadata/server.hpp"
#include "plugins/metadata/server_metrics.hpp"
#include "plugins/metadata/service.hpp"
#include "plugins/metadata/settings.hpp"
#include "plugins/metadata/side_services.hpp"
#include "plugins/metadata/status.hpp"
#include "plugins/metadata/talos_early.hpp"
#include "plugins/metadata/tenants.hpp"
#include "plugins/metadata/tls_keeper.hpp"
#include "plugins/metadata/tls_status.hpp"

namespace nett::metadata {

namespace {

class MetadataPlugin final : public Plugin {
public:
    explicit MetadataPlugin(const Host& host)
        : host_(host), tasks_(host.loop, log_), tick_(host.loop), probe_tick_(host.loop), disk_tick_(host.loop) {}

    Awaitable<Result<void>> start(const ConfigNode& config) override {
        auto parts = std::make_unique<Parts>(host_);
        NETT_CO_TRY(parts->tenants.start(host_.store));
        NETT_CO_TRY(parts->ports.start(host_.store, host_.hostname));
        NETT_CO_TRY(parts->service.start());
        const auto settings = settings_of(config);
        auto side = parts->side.start();
        auto applied = side ? apply(*parts, settings) : std::move(side);
        if (!applied) {
            co_await parts->side.stop(host_.clock.steady_now());
            co_return applied;
        }
        auto recording = parts->recorder.start();
        auto verifying = recording ? parts->artifacts.start() : Result<void>{};
        if (!recording || !verifying) {
            co_await parts->server->stop(host_.clock.steady_now());
            co_await parts->side.stop(host_.clock.steady_now());
            co_await parts->tokens->stop(host_.clock.steady_now());
            if (recording) co_await parts->recorder.stop();
            co_return fail(std::move(recording ? verifying.error() : recording.error()));
        }
        parts->late_wipes.start();
        parts_ = std::move(parts);
        stopping_ = false;
        tasks_.spawn(watch_health());
        tasks_.spawn(watch_answers());
        tasks_.spawn(watch_disk());
        tasks_.spawn(parts_->tls.run());
        scrape_ = host_.metrics.before_scrape([this] { put_metrics(); });
        log_.info("serving",
                  {{"listeners", settings.listen.size()}, {"certificate", parts_->server->tls()->certificate.subject}});
        co_return Result<void>{};
    }

    Awaitable<Result<void>> reconfigure(const ConfigNode& config) override {
        auto applied = apply(*parts_, settings_of(config));
        if (applied) report();
        co_return applied;
    }

    Awaitable<void> stop(SteadyTime deadline) override {
        if (!parts_ || stopping_) co_return;
        stopping_ = true;
        scrape_.reset();
        forget_plugin_metrics(host_.metrics);
        for (auto* timer : {&tick_, &probe_tick_, &disk_tick_}) timer->cancel();
        parts_->tls.stop();
        co_await tasks_.join();
        co_await parts_->artifacts.stop();  // hashing would hold up the requests that wait for it
        co_await parts_->tokens->stop(deadline);
        co_await parts_->server->stop(deadline);  // before the rest: then nobody records or asks for tenants
        co_await parts_->side.stop(deadline);
        co_await parts_->recorder.stop();
        co_await parts_->late_wipes.stop();
        parts_->ports.stop();
        parts_->tenants.stop();
        host_.health.forget("metadata");
        parts_.reset();
    }

    boost::json::value status() const override { return parts_ ? status_of(view()) : boost::json::object{}; }

    std::vector<OpCommand> commands() override {
        OpCommand show;
        show.pattern = "show metadata";
        show.help = "The metadata service: listeners, connections, requests by result, certificate";
        show.run = [this](CommandCall) { return show_metadata(); };
        OpCommand tls;
        tls.pattern = "show tls";
        tls.help = "The metadata service's certificates, their reloads, and handshakes by result";
        tls.run = [this](CommandCall) { return show_tls(); };
        std::vector<OpCommand> commands{std::move(show), std::move(tls)};
        const auto side = [this]() { return parts_ ? &parts_->side : nullptr; };
        for (auto& command : side_op_commands(side)) commands.push_back(std::move(command));
        return commands;
    }

private:
    // Everything that lives from start to stop.
    struct Parts {
        explicit Parts(const Host& host)
            : recorder(host.store, host.loop, host.clock),
              artifacts(host.store, host.events, host.loop, host.io, host.artifact_directory, host.artifact_peers),
              late_wipes(host.store, host.events, host.loop),
              boots(host.metrics),
              service({host.store, host.secrets, host.events, host.clock, &late_wipes, &boots}, tenants, ports,
                      recorder, artifacts),
              server(std::make_shared<Server>(host.loop, host.io, host.clock,
                                              [this](Request request, const Peer& peer, Conversation& conversation) {
                                                  return service.handle(std::move(request), peer, conversation);
                                              })),
              tokens(std::make_shared<Server>(host.loop, host.io, host.clock,
                                              [this](Request request, const Peer& peer, Conversation&) {
                                                  return service.handle_token(std::move(request), peer);
                                              })),
              tls(host, *server,
                  [this](const TlsFiles& files) {
                      if (auto same = load_tls({files.certificate, files.private_key, ""})) tokens->set_tls(*same);
                  }),
              side(host,
                   [this](Request request, const Peer& peer, Conversation& conversation) {
                       return service.handle(std::move(request), peer, conversation);
                   }),
              handover(host, {server, tokens}) {}
        TenantCache tenants;
        PortTable ports;
        Recorder recorder;
        Artifacts artifacts;
        LateWipes late_wipes;
        BootMetrics boots;
        Service service;
        std::shared_ptr<Server> server;
        std::shared_ptr<Server> tokens;  // without listeners unless there is a "token-listen"
        TlsKeeper tls;
        SideServices side;
        Handover handover;
    };

    // All or nothing: what can fail comes first.
    static Result<void> apply(Parts& parts, const Settings& settings) {
        auto tls = TlsKeeper::load(settings.tls);
        if (!tls) return fail(std::move(tls.error()));
        auto token_tls = load_tls({settings.tls.certificate, settings.tls.private_key, ""});
        if (!token_tls) return fail(std::move(token_tls.error()));
        auto service = settings.service;
        auto root = trusted_root_of(settings.tls.certificate);
        if (!root) return fail(std::move(root.error()));
        service.trusted_root = std::move(*root);
        auto listeners = parts.server->open(settings.listen);
        if (!listeners) return fail(std::move(listeners.error()));
        auto side = parts.side.prepare(settings.side, settings.tls);
        if (!side) return fail(std::move(side.error()));
        auto token_listeners = parts.tokens->open(settings.token_listen);
        if (!token_listeners) return fail(std::move(token_listeners.error()));
        parts.tls.adopt(std::move(*tls));
        parts.server->set_limits(settings.limits);
        parts.tokens->set_tls(std::move(*token_tls));
        parts.tokens->set_limits(settings.limits);
        parts.service.set_settings(std::move(service));
        parts.server->adopt(std::move(*listeners));
        parts.side.adopt(std::move(*side));
        parts.tokens->adopt(std::move(*token_listeners));
        return {};
    }

    Awaitable<Result<Output>> show_metadata() {
        if (!parts_) co_return fail(Code::kFailedPrecondition, "the metadata plugin is not running");
        Output output;
        output.data = status_of(view());
        output.text = status_text(view());
        co_return output;
    }

    Awaitable<Result<Output>> show_tls() {
        if (!parts_) co_return fail(Code::kFailedPrecondition, "the metadata plugin is not running");
        parts_->tls.look();  // what is shown is what is there
        const auto tls = parts_->server->tls();
        const TlsView view{*tls, parts_->tls.reloads(), parts_->server->counters(), host_.clock.system_now()};
        Output output;
        output.data = tls_status_of(view);
        output.text = tls_status_text(view);
        co_return output;
    }

    StatusView view() const {
        std::vector<OtherListener> others;
        add_listeners(others, "token", *parts_->tokens);
        parts_->side.media().add_to(others);
        parts_->side.homelab().add_to(others);
        return {*parts_->server, std::move(others), parts_->tenants.table()->size(), parts_->recorder.dropped(),
                host_.clock.system_now()};
    }

    void put_metrics() {
        put_server_metrics(host_.metrics, *parts_->server, "machines");
        put_server_metrics(host_.metrics, *parts_->tokens, "tokens");
        put_plugin_metrics(host_.metrics, *parts_->server, parts_->tenants.table()->size(), parts_->recorder.dropped());
    }

    // True when an io thread has not run anything since the last tick: requests hang although listeners are open.
    bool heartbeat_lost() const { return heartbeat_ && !*heartbeat_; }

    void report() {
        report_health(host_, *parts_->server, parts_->artifacts, heartbeat_lost());
        report_tls_health(host_, *parts_->server->tls(), parts_->tls.reloads());
        const auto& tokens = *parts_->tokens;
        host_.health.report(token_listener_condition(!tokens.endpoints().empty(), tokens.trouble()));
        parts_->side.report_health();
    }

    Awaitable<void> watch_health() {
        while (!stopping_) {
            parts_->tls.look();
            report();
            heartbeat_ = std::make_shared<std::atomic<bool>>(false);
            asio::post(host_.io, [beat = heartbeat_] { *beat = true; });
            tick_.expires_after(kHealthInterval);
            co_await tick_.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        heartbeat_.reset();
    }

    // Asks each listener as a machine would.
    Awaitable<void> watch_answers() {
        int failures = 0;
        while (!stopping_) {
            const auto& server = *parts_->server;
            SelfProbeResult worst{SelfProbeResult::Kind::kNotHere, "not asked: no listener"};
            for (const auto& listener : server.endpoints()) {
                const std::uint64_t closed = server.counters().closed_unheard;
                auto result = co_await probe_self(host_.io, listener, server.tls());
                if (stopping_) co_return;
                // At its limit a server closes connections unheard: it is busy, and moving its load would topple the
                // next.
                if (server.counters().closed_unheard != closed)
                    result = {SelfProbeResult::Kind::kNotHere, "not asked: at the limit of connections"};
                const bool failed = result.kind == SelfProbeResult::Kind::kFailed;
                if (failed || worst.kind == SelfProbeResult::Kind::kNotHere) worst = std::move(result);
                if (failed) break;
            }
            failures = worst.kind == SelfProbeResult::Kind::kFailed ? failures + 1 : 0;
            host_.health.report(answer_condition(worst, failures));
            probe_tick_.expires_after(kSelfProbeInterval);
            co_await probe_tick_.async_wait(asio::as_tuple(asio::use_awaitable));
        }
    }

    Awaitable<void> watch_disk() {
        while (!stopping_) {
            host_.health.report(disk_condition(disk_space(host_.artifact_directory)));
            auto written = co_await write_condition(host_.store, host_.clock.system_now());
            if (stopping_) co_return;
            const bool good = written.state == HealthState::kOk;
            host_.health.report(std::move(written));
            disk_tick_.expires_after(good ? std::chrono::seconds(kWriteInterval) : kHealthInterval);
            co_await disk_tick_.async_wait(asio::as_tuple(asio::use_awaitable));
        }
    }

    const Host host_;
    Logger log_{"metadata"};
    TaskGroup tasks_;
    asio::steady_timer tick_;
    asio::steady_timer probe_tick_;
    asio::steady_timer disk_tick_;
    std::unique_ptr<Parts> parts_;
    std::shared_ptr<std::atomic<bool>> heartbeat_;
    bool stopping_ = false;
    Subscription scrape_;
};

std::unique_ptr<Plugin> create(const Host& host) {
    return std::make_unique<MetadataPlugin>(host);
}

}  // namespace

}  // namespace nett::metadata

extern "C" {
__attribute__((visibility("default"))) extern const nett::PluginDescriptor nett_plugin;
const nett::PluginDescriptor nett_plugin{
    nett::kPluginMagic,
    nett::kPluginAbiVersion,
    nett::kBuildId,
    "metadata",
    nett::kVersion,
    "Boot decisions, artifacts and machine configs over mutual TLS",
    nett::metadata::config_commands,
    nett::metadata::validate,
    nett::metadata::create,
};
}
