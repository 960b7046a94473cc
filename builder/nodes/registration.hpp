// From nodes.yaml to what is asked of an agent: only what differs from what the agent has. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "builder/nodes/inputs.hpp"
#include "builder/nodes/nodes_file.hpp"
#include "nett.pb.h"

namespace nett::builder {

// What an agent has, by name; profiles by "tenant/name".
struct Snapshot {
    std::map<std::string, v1::Tenant> tenants;
    std::map<std::string, v1::Machine> machines;
    std::map<std::string, v1::Bmc> bmcs;
    std::map<std::string, v1::ArtifactSet> sets;
    std::map<std::string, v1::Profile> profiles;
    std::map<std::string, v1::PrefixPool> pools;
};

// The changes of one node, done together: its BMC's, then its own. `error` instead when its config cannot be made.
struct NodeChange {
    const NodeEntry* node = nullptr;
    std::vector<v1::Mutation> mutations;
    std::string config_sha256;
    std::vector<std::string> warnings;
    std::vector<Error> errors;
};

struct Changes {
    std::vector<v1::Mutation> tenants;  // tenants and pools: what others refer to
    std::vector<v1::Mutation> sets;     // need their files on the agent
    std::vector<v1::Mutation> profiles;
    std::vector<NodeChange> nodes;       // one each, in the file's order, also when nothing is to be done
    std::vector<std::string> stale;      // machines of the file's tenants that the file does not name
    std::vector<v1::Mutation> removals;  // of these, with their BMCs, and of profiles and pools
};

struct RegistrationOptions {
    bool refresh_credentials = false;  // BMC passwords of records that are otherwise as they should be, too
};

Changes changes_between(const NodesFile& file, const Inputs& inputs, const Snapshot& snapshot,
                        const RegistrationOptions& options);

// The config that a node is to have: empty when the file says nothing of it. `prefix` is its production prefix as far
// as it is known.
Result<std::string> config_of(const NodesFile& file, const NodeEntry& node, const Inputs& inputs,
                              const std::string& prefix);

}  // namespace nett::builder
