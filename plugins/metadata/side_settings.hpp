// The configuration of what the plugin does besides the machines' own listener (side_services.hpp).
#pragma once

#include <optional>
#include <vector>

#include "agent/sdk/config.hpp"
#include "plugins/metadata/homelab.hpp"
#include "plugins/metadata/media.hpp"
#include "plugins/metadata/netbox.hpp"

namespace nett::metadata {

struct SideSettings {
    HomelabSettings homelab;
    MediaSettings media;
    std::optional<NetboxSettings> netbox;
};
std::vector<ConfigCommand> side_commands();
// Findings of these commands in the plugin's node.
std::vector<Diagnostic> validate_side(const ConfigEntry& plugin);
SideSettings side_settings_of(const ConfigNode& node);

}  // namespace nett::metadata
