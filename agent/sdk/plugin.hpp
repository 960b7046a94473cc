// The plugin ABI: a plugin is one shared object that exports one const descriptor, `nett_plugin`.
//
// The loader (agent/core/loader) checks magic, abi_version and build_id, in this order, before anything else is
// touched, and never unloads a plugin. No exception crosses the boundary: the functions below are called inside the
// host's catch-all, which turns an escaped exception into a failed plugin and a health condition.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/command.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/frr.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/metrics.hpp"
#include "agent/sdk/net.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/secret.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

class ArtifactPeers;  // agent/sdk/artifact_peers.hpp

// What the host lends to a plugin. Every reference outlives the plugin.
struct Host {
    asio::any_io_executor loop;  // the decision loop: one thread; start/reconfigure/stop and all callbacks run here
    asio::any_io_executor io;    // a small pool for TLS and file serving; use strands there
    const Clock& clock;
    EventBus& events;
    HealthRegistry& health;
    Store& store;
    const SecretBox& secrets;
    Frr& frr;
    Net& net;
    std::string hostname;            // of this agent, as configured; the switch's name in "tor-a/swp7"
    std::string artifact_directory;  // content-addressed files: <dir>/sha256/<64 hex digits>
    Metrics& metrics;
    ArtifactPeers* artifact_peers = nullptr;  // nullptr: the state is this server's own
};

class Plugin {
public:
    virtual ~Plugin() = default;

    // Brings the plugin to life with its node of the configuration (already validated). Ready when it returns: sockets
    // are bound. On error nothing is left behind.
    virtual Awaitable<Result<void>> start(const ConfigNode& config) = 0;
    // Applies a new configuration without dropping what need not drop. On error the old one is still in force.
    virtual Awaitable<Result<void>> reconfigure(const ConfigNode& config) = 0;
    // Stops all work; idempotent. No task outlives it. Must end by the deadline; what is still open then is cut off.
    virtual Awaitable<void> stop(SteadyTime deadline) = 0;
    // The plugin's node has left the configuration: stop() that also takes away what a mere stop leaves in the network.
    virtual Awaitable<void> remove(SteadyTime deadline) { return stop(deadline); }

    // For `show plugins`: a few stable keys.
    virtual boost::json::value status() const = 0;
    // Operational commands bound to this instance; asked for once, after construction.
    virtual std::vector<OpCommand> commands() = 0;
};

inline constexpr std::uint64_t kPluginMagic = 0x6e657474'706c7567;  // "nettplug"
inline constexpr std::uint32_t kPluginAbiVersion = 1;

// Exported as: extern "C" const nett::PluginDescriptor nett_plugin;
struct PluginDescriptor {
    std::uint64_t magic;
    std::uint32_t abi_version;
    const char* build_id;  // kBuildId of agent/sdk/build_id.hpp, compiled into the plugin
    const char* name;      // "ra"; the configuration node is `plugin <name>`
    const char* version;
    const char* summary;  // one line for `show plugins` and `?`
    // The plugin's configuration commands, in the order of `show running-config`. The first opens the plugin's node:
    // {"", "plugin ra", …, enters "ra"}.
    std::vector<ConfigCommand> (*config_commands)();
    // Checks the plugin's node; all findings at once. Pure but for reading files that the configuration names.
    std::vector<Diagnostic> (*validate)(const ConfigEntry& plugin, const CheckEnvironment& environment);
    std::unique_ptr<Plugin> (*create)(const Host& host);
    // Plugins start in ascending order of this and stop in descending: what announces a service starts last and stops
    // first.
    int start_rank = 50;
};

inline constexpr const char* kPluginSymbol = "nett_plugin";

}  // namespace nett
