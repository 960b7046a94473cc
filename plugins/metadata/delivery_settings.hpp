// The configuration commands for handing over configs and for knowing ports, which settings.cpp puts among the others.
#pragma once

#include <vector>

#include "agent/sdk/config.hpp"
#include "plugins/metadata/settings.hpp"

namespace nett::metadata {

std::vector<ConfigCommand> delivery_commands();
std::vector<Diagnostic> check_delivery(const ConfigEntry& plugin);
void read_delivery(const ConfigNode& node, Settings& settings);

}  // namespace nett::metadata
