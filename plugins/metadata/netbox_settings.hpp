// The `netbox …` commands of `plugin metadata`.
#pragma once

#include <optional>
#include <vector>

#include "agent/sdk/config.hpp"
#include "plugins/metadata/netbox.hpp"

namespace nett::metadata {

std::vector<ConfigCommand> netbox_commands();
// Findings of the netbox commands in the plugin's node.
std::vector<Diagnostic> validate_netbox(const ConfigEntry& plugin);
// nullopt: no NetBox.
std::optional<NetboxSettings> netbox_settings_of(const ConfigNode& node);

}  // namespace nett::metadata
