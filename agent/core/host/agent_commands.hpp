// The agent's own operational commands: show version, health, plugins, events; terminal monitor.
#pragma once

#include <string>
#include <vector>

#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/plugin_manager.hpp"
#include "agent/sdk/command.hpp"
#include "agent/sdk/health.hpp"

namespace nett {

// References outlive the commands.
struct AgentCommandContext {
    const PluginManager& plugins;
    const HealthRegistry& health;
    LoopEventBus& events;
    const Clock& clock;
    SystemTime started{};
    std::string hostname;
};

std::vector<OpCommand> agent_commands(const AgentCommandContext& context);
// Types of the last events: the completions "event-types".
std::vector<std::string> event_types(const LoopEventBus& events);

}  // namespace nett
