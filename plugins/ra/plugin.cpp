// The ra plugin's descriptor and its thin shell around Service.
#include <boost/json.hpp>

#include "agent/sdk/build_id.hpp"
#include "agent/sdk/plugin.hpp"
#include "plugins/ra/service.hpp"
#include "plugins/ra/settings.hpp"
#include "plugins/ra/show.hpp"

namespace nett::ra {
namespace {

class RaPlugin final : public Plugin {
public:
    explicit RaPlugin(const Host& host) : host_(host), service_(host_) {}

    Awaitable<Result<void>> start(const ConfigNode& config) override {
        Settings settings = settings_of(config);
        auto result = co_await service_.apply(std::move(settings));
        if (result) {
            service_.run();
            started_ = true;
            scrape_ = host_.metrics.before_scrape([this] { put_metrics(); });
        }
        co_return result;
    }

    Awaitable<Result<void>> reconfigure(const ConfigNode& config) override {
        Settings settings = settings_of(config);
        co_return co_await service_.apply(std::move(settings));
    }

    Awaitable<void> stop(SteadyTime) override {
        if (!std::exchange(started_, false)) co_return;
        forget_metrics();
        co_await service_.stop(service_.settings().withdraw_on_stop);
    }

    Awaitable<void> remove(SteadyTime) override {
        if (!std::exchange(started_, false)) co_return;
        forget_metrics();
        co_await service_.stop(true);
    }

    boost::json::value status() const override {
        FrrDaemonStatus zebra = host_.frr.status(FrrDaemon::kZebra);
        return boost::json::object{{"ports", service_.ports().size()},
                                   {"in_sync", zebra.in_sync},
                                   {"backend", zebra.backend},
                                   {"repairs", service_.drift().size()}};
    }

    std::vector<OpCommand> commands() override {
        std::vector<OpCommand> result;
        result.push_back({"show ra",
                          "Router advertisements by port",
                          {{"ra", "Router advertisements"}},
                          Role::kViewer,
                          [this](CommandCall) -> Awaitable<Result<Output>> { co_return show_ra(service_); }});
        result.push_back({"show ra interface {name:word:@interfaces}",
                          "Router advertisement of one port",
                          {{"ra", "Router advertisements"}, {"interface", "One port"}, {"name", "The port"}},
                          Role::kViewer,
                          [this](CommandCall call) -> Awaitable<Result<Output>> {
                              co_return show_interface(host_, service_, call.arg("name"));
                          }});
        result.push_back({"show ra drift",
                          "What other hands had changed, and was put right",
                          {{"ra", "Router advertisements"}, {"drift", "Repaired differences"}},
                          Role::kViewer,
                          [this](CommandCall) -> Awaitable<Result<Output>> { co_return show_drift(service_); }});
        result.push_back(
            {"show ra frr-config",
             "What frr.conf needs to announce the aggregate",
             {{"ra", "Router advertisements"}, {"frr-config", "Lines for /etc/frr/frr.conf; ASN is your own"}},
             Role::kViewer,
             [this](CommandCall) -> Awaitable<Result<Output>> { co_return show_frr_config(service_); }});
        return result;
    }

private:
    GaugeFamily& ports_by_state() {
        return host_.metrics.gauge({"nett_ra_ports",
                                    "Ports by the state of their router advertisement; their sum is what is desired.",
                                    {"state"}});
    }

    void put_metrics() {
        std::map<std::string, double> counts{{"advertising", 0}, {"waiting", 0}, {"failed", 0}};
        for (const auto& port : service_.ports()) ++counts[port.state];
        for (const auto& [state, count] : counts) ports_by_state().with({state})->set(count);
    }

    void forget_metrics() {
        scrape_.reset();
        ports_by_state().clear();
    }

    Host host_;
    Service service_;
    bool started_ = false;
    Subscription scrape_;
};

std::unique_ptr<Plugin> create(const Host& host) {
    return std::make_unique<RaPlugin>(host);
}

}  // namespace
}  // namespace nett::ra

extern "C" {
extern const nett::PluginDescriptor nett_plugin;
const nett::PluginDescriptor nett_plugin{nett::kPluginMagic,
                                         nett::kPluginAbiVersion,
                                         nett::kBuildId,
                                         "ra",
                                         nett::kVersion,
                                         "Router advertisements: one prefix for each port",
                                         nett::ra::config_commands,
                                         nett::ra::validate,
                                         nett::ra::create,
                                         20};
}
