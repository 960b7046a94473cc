// The records of agent/sdk/model.hpp as messages of nett.v1, and back.
#pragma once

#include "agent/core/inventory/inventory.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "nett.pb.h"

namespace nett {

// Never carries a secret: sealed values stay in the state file.
v1::Tenant to_proto(const Tenant& value);
v1::Machine to_proto(const MachineView& view);
v1::ArtifactSet to_proto(const ArtifactSet& value);
v1::Bmc to_proto(const Bmc& value);
v1::Job to_proto(const Job& value);
v1::UnknownMachine to_proto(const UnknownMachine& value);
v1::Profile to_proto(const Stored<Profile>& stored);
v1::PrefixPool to_proto(const PoolView& view);
v1::Allocation to_proto(const Allocation& value);

Tenant from_proto(const v1::Tenant& message);
// Only the members that a registration may set. kInvalidArgument: a port's prefix, or a delivery that does not exist.
Result<Machine> from_proto(const v1::Machine& message);
// kInvalidArgument: an enumeration or a prefix that does not exist.
Result<Profile> from_proto(const v1::Profile& message);
Result<PrefixPool> from_proto(const v1::PrefixPool& message);
ArtifactSet from_proto(const v1::ArtifactSet& message);
Bmc from_proto(const v1::Bmc& message);

}  // namespace nett
