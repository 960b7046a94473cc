// The agent's settings in the words of the rooms that they are for.
#pragma once

#include <string>
#include <vector>

#include "agent/api/certificates.hpp"
#include "agent/core/host/root_commands.hpp"
#include "agent/fabric/fabric.hpp"
#include "agent/frr/frr.hpp"
#include "agent/replication/replication.hpp"

namespace nett {

FrrSettings frr_settings(const FrrTargets& targets);
ApiCertificates certificates(const ApiAccessSettings& access);
FabricSettings fabric_settings(const ApiAccessSettings& access);
replication::Settings replication_settings(const StateSettings& state);
// Where other servers call this one: the first address that is not this host's alone.
std::string endpoint_for_servers(const std::vector<std::string>& listen);

}  // namespace nett
