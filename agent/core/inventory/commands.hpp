// The inventory's part of the shell: `show machines`, `machine NAME state STATE`, `job ID cancel` and the like.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/core/inventory/inventory.hpp"
#include "agent/sdk/command.hpp"

namespace nett {

// The inventory outlives the commands.
std::vector<OpCommand> inventory_commands(Inventory& inventory);  // all of them
std::vector<OpCommand> inventory_show_commands(Inventory& inventory);

// Live names for {x:word:@machines} and the like: machines, tenants, artifact-sets, bmcs, jobs, pools,
// unknown-machines.
std::map<std::string, std::function<std::vector<std::string>()>, std::less<>> inventory_completions(
    Inventory& inventory);

// What a person or a script may see of a record: its members without secrets, with "revision".
boost::json::object public_json(const Stored<Tenant>& stored);
boost::json::object public_json(const MachineView& view);
boost::json::object public_json(const Stored<Profile>& stored);
boost::json::object public_json(const PoolView& view);
boost::json::object public_json(const Stored<Allocation>& stored);
boost::json::object public_json(const Stored<UnknownMachine>& stored);
boost::json::object public_json(const Stored<ArtifactSet>& stored);
boost::json::object public_json(const Stored<Bmc>& stored);
boost::json::object public_json(const Stored<Job>& stored);

}  // namespace nett
