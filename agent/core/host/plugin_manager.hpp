// The plugins' lives: which run, and the all-or-nothing step from one configuration to the next.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/host/loader.hpp"
#include "agent/sdk/plugin.hpp"

namespace nett {

// What `show plugins` shows of one plugin.
struct PluginStatus {
    std::string name;
    std::string version;
    std::string state;  // "running", "failed", "not configured"
    std::string error;  // why it failed
    boost::json::value detail;
};

// A plugin that fails to start at boot is tried again this often: its reason (a port that is taken, a kernel that is
// busy) may pass.
inline constexpr std::chrono::seconds kStartRetry{5};

// Loop thread only. Calls into plugins are guarded: an exception becomes an error of that call.
class PluginManager {
public:
    // Called with the operational commands of a plugin that was just created for the first time.
    using CommandSink = std::function<Result<void>(std::vector<OpCommand>)>;

    PluginManager(const Host& host, std::vector<LoadedPlugin> plugins, CommandSink add_commands);
    ~PluginManager();

    // All findings of all configured plugins.
    static std::vector<Diagnostic> validate(const std::vector<LoadedPlugin>& plugins, const ConfigNode& root,
                                            const CheckEnvironment& environment);

    // First configuration: every configured plugin is started; one that fails keeps being tried by retry_failed() while
    // the others run, because a switch whose metadata listener is busy must still advertise.
    Awaitable<void> start(const ConfigNode& root);
    Awaitable<void> retry_failed(const ConfigNode& root);

    // From one configuration to the next: stops, reconfigures and starts what differs. On the first error everything
    // done so far is undone in reverse order, and the error is returned.
    Awaitable<Result<void>> apply(const ConfigNode& from, const ConfigNode& to);
    // Reconfigures every running plugin with what it has: files that the configuration names may be new (SIGHUP).
    Awaitable<Result<void>> refresh(const ConfigNode& root);

    // In reverse order of the start, each until the deadline at most. Idempotent.
    Awaitable<void> stop(SteadyTime deadline);

    std::vector<PluginStatus> status() const;

private:
    struct Instance {
        const PluginDescriptor* descriptor = nullptr;
        std::unique_ptr<Plugin> plugin;
        bool running = false;
        std::string error;
    };

    Awaitable<Result<void>> start_instance(Instance& instance, const ConfigNode& node);
    Awaitable<Result<void>> step(Instance& instance, const ConfigEntry* from, const ConfigEntry* to);
    void set_health(const Instance& instance);

    // True while a step is under way: steps await, and two of them must not start one plugin.
    class Busy;
    bool busy_ = false;

    Host host_;
    Logger log_{"plugins"};
    CommandSink add_commands_;
    std::vector<Instance> instances_;  // in start order
};

}  // namespace nett
