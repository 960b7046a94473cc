// The bgp-anycast plugin's descriptor and its thin shell around Service.
#include <array>

#include <boost/json.hpp>

#include "agent/sdk/build_id.hpp"
#include "agent/sdk/plugin.hpp"
#include "plugins/bgp-anycast/commands.hpp"
#include "plugins/bgp-anycast/service.hpp"
#include "plugins/bgp-anycast/settings.hpp"

namespace nett::anycast {
namespace {

constexpr std::array kStances{Stance::kWithdrawn, Stance::kDePreferred, Stance::kAnnounced};

class AnycastPlugin final : public Plugin {
public:
    explicit AnycastPlugin(const Host& host) : host_(host), service_(host_, real_platform(host_)) {}

    Awaitable<Result<void>> start(const ConfigNode& config) override {
        service_.start(settings_of(config));
        scrape_ = host_.metrics.before_scrape([this] { put_metrics(); });
        co_return Result<void>{};
    }

    Awaitable<Result<void>> reconfigure(const ConfigNode& config) override {
        service_.reconfigure(settings_of(config));
        co_return Result<void>{};
    }

    Awaitable<void> stop(SteadyTime deadline) override {
        scrape_.reset();
        states().clear();
        co_await service_.stop(deadline);
    }

    boost::json::value status() const override { return boost::json::object{{"state", to_string(service_.stance())}}; }

    std::vector<OpCommand> commands() override { return commands_of(service_); }

private:
    GaugeFamily& states() {
        return host_.metrics.gauge(
            {"nett_anycast_state", "1 for what the anycast address is now, 0 for the others.", {"state"}});
    }

    void put_metrics() {
        for (const auto stance : kStances) {
            states().with({std::string(to_string(stance))})->set(service_.stance() == stance ? 1 : 0);
        }
    }

    Host host_;
    Service service_;
    Subscription scrape_;
};

std::unique_ptr<Plugin> create(const Host& host) {
    return std::make_unique<AnycastPlugin>(host);
}

}  // namespace
}  // namespace nett::anycast

extern "C" {
extern const nett::PluginDescriptor nett_plugin;
// Starts last and stops first: it announces what the others serve.
const nett::PluginDescriptor nett_plugin{nett::kPluginMagic,
                                         nett::kPluginAbiVersion,
                                         nett::kBuildId,
                                         "bgp-anycast",
                                         nett::kVersion,
                                         "Announces an address while this server is healthy",
                                         nett::anycast::config_commands,
                                         nett::anycast::validate,
                                         nett::anycast::create,
                                         90};

void nett_cleanup(const nett::ConfigNode& plugin, nett::Cleanup& cleanup) {
    cleanup = nett::anycast::cleanup_of(plugin);
}
}
