// The `homelab …` commands of `plugin metadata`.
#pragma once

#include <vector>

#include "agent/sdk/config.hpp"
#include "plugins/metadata/homelab.hpp"

namespace nett::metadata {

std::vector<ConfigCommand> homelab_commands();
// Findings of the homelab commands in the plugin's node.
std::vector<Diagnostic> validate_homelab(const ConfigEntry& plugin);
HomelabSettings homelab_settings_of(const ConfigNode& node);

}  // namespace nett::metadata
