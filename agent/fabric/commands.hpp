// show ports, show fabric, and the fabric's part of show machine.
#pragma once

#include <vector>

#include "agent/fabric/fabric.hpp"
#include "agent/sdk/command.hpp"

namespace nett {

// `fabric` outlives the commands.
std::vector<OpCommand> fabric_commands(const Fabric& fabric);

// `show machine {name:…}` with the member "fabric": whether the machine's production prefix is announced, and where.
OpCommand with_fabric_condition(OpCommand show_machine, const Fabric& fabric);

}  // namespace nett
