// The shell's commands that make jobs, show them and follow them.
#pragma once

#include <vector>

#include "agent/core/inventory/inventory.hpp"
#include "agent/sdk/command.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// "machine provision NAME [image-url URL] [--follow]", "machine power NAME on" …, "show job ID [--follow]", "job ID
// cancel". `inventory` and `store` outlive the commands.
std::vector<OpCommand> job_commands(Inventory& inventory, Store& store);

}  // namespace nett
