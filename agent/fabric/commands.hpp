// show ports, show fabric.
#pragma once

#include <vector>

#include "agent/fabric/fabric.hpp"
#include "agent/sdk/command.hpp"

namespace nett {

// `fabric` outlives the commands.
std::vector<OpCommand> fabric_commands(const Fabric& fabric);

}  // namespace nett
