// The `media …` commands of `plugin metadata`.
#pragma once

#include <vector>

#include "agent/sdk/config.hpp"
#include "plugins/metadata/media.hpp"

namespace nett::metadata {

std::vector<ConfigCommand> media_commands();
// Findings of the media commands in the plugin's node.
std::vector<Diagnostic> validate_media(const ConfigEntry& plugin);
MediaSettings media_settings_of(const ConfigNode& node);

}  // namespace nett::metadata
