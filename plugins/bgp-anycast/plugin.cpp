// The bgp-anycast plugin's descriptor and its thin shell around Service.
#include <boost/json.hpp>

#include "agent/sdk/build_id.hpp"
#include "agent/sdk/plugin.hpp"
#include "plugins/bgp-anycast/service.hpp"
#include "plugins/bgp-anycast/settings.hpp"

namespace nett::anycast {
namespace {

class AnycastPlugin final : public Plugin {
public:
    explicit AnycastPlugin(const Host& host) : host_(host), service_(host_) {}

    Awaitable<Result<void>> start(const ConfigNode& config) override {
        service_.start(settings_of(config));
        started_ = true;
        co_return Result<void>{};
    }

    Awaitable<Result<void>> reconfigure(const ConfigNode& config) override {
        service_.reconfigure(settings_of(config));
        co_return Result<void>{};
    }

    Awaitable<void> stop(SteadyTime) override {
        service_.stop();
        started_ = false;
        co_return;
    }

    boost::json::value status() const override {
        return boost::json::object{{"state", service_.announced() ? "announced" : "withdrawn"}};
    }

    std::vector<OpCommand> commands() override {
        std::vector<OpCommand> result;
        result.push_back({"show anycast",
                          "Whether the anycast address is announced, and why",
                          {{"anycast", "The anycast address"}},
                          Role::kViewer,
                          [this](CommandCall) -> Awaitable<Result<Output>> {
                              if (!started_)
                                  co_return fail(Code::kFailedPrecondition, "plugin bgp-anycast is not running");
                              co_return service_.show();
                          }});
        return result;
    }

private:
    Host host_;
    Service service_;
    bool started_ = false;
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
                                         "0.1.0",
                                         "Announces an address while this server is healthy",
                                         nett::anycast::config_commands,
                                         nett::anycast::validate,
                                         nett::anycast::create,
                                         90};
}
