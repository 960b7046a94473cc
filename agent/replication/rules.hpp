// Decisions of the replication. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/store/replica.hpp"
#include "agent/replication/layout.hpp"
#include "agent/sdk/health.hpp"

namespace nett::replication {

// What a server does when it meets a cluster.
enum class Join {
    kMake,   // there is none: this server makes it
    kAdopt,  // take a snapshot
    kGoOn,   // the file is a copy of it already
};
// kFailedPrecondition: the server must not join, with the remedy. kUnavailable: it must wait.
// `newest`: etcd's revision.
Result<Join> decide_join(const std::optional<Meta>& cluster, const ReplicaState& file, Revision newest);

// How this server's copy stands.
struct Standing {
    std::optional<Error> refused;  // why it is not part of the cluster
    // How old it is at most; nullopt: it has never been known to be fresh in this run.
    std::optional<std::chrono::milliseconds> age;
    std::chrono::milliseconds bound{};
    bool etcd_answers = false;
    std::vector<ServerState> others;  // as etcd said when it last answered
};
// The condition "replication/lag": docs/replication.md, "Lag".
HealthCondition judge(const Standing& standing);

}  // namespace nett::replication
