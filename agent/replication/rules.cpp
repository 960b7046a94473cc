#include "agent/replication/rules.hpp"

#include <algorithm>

namespace nett::replication {

namespace {

constexpr const char* kOwnRecords =
    "this server's state file has {} records of its own, and the cluster is {}: {}; it serves what it has until then";

double seconds_of(std::chrono::milliseconds time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

Result<Join> decide_join(const std::optional<Meta>& cluster, const ReplicaState& file, Revision newest) {
    const bool alone = file.cluster == 0;
    if (!cluster) {
        if (alone && file.shared_records == 0) return Join::kMake;
        if (alone) {
            return fail(Code::kFailedPrecondition, kOwnRecords, file.shared_records, "empty",
                        "\"state migrate in\" moves them into etcd");
        }
        return fail(Code::kFailedPrecondition,
                    "etcd has no state below the prefix, and this file is a copy of a cluster's: is it the right "
                    "prefix, and was etcd restored? \"state migrate in\" makes the cluster anew from this copy");
    }
    if (cluster->format > kFormat) {
        return fail(Code::kFailedPrecondition,
                    "the cluster's format is {}, this nettd knows up to {}: upgrade nettd on this server",
                    cluster->format, kFormat);
    }
    if (cluster->importing) {
        return fail(Code::kUnavailable,
                    "a server moves its state into etcd; if it broke off, say \"state migrate in\" there again");
    }
    if (file.cluster == cluster->cluster) {
        if (newest >= file.revision) return Join::kGoOn;
        return fail(Code::kFailedPrecondition,
                    "etcd is at revision {}, this copy at {}: etcd was restored from an older backup. Stop nettd and "
                    "move the state file away to take etcd's state",
                    newest, file.revision);
    }
    if (file.shared_records == 0) return Join::kAdopt;
    if (alone) {
        return fail(Code::kFailedPrecondition, kOwnRecords, file.shared_records, "another's",
                    "stop nettd and move the state file away to join it");
    }
    return fail(Code::kFailedPrecondition,
                "this file is a copy of another cluster's state: stop nettd and move it away to join this one");
}

HealthCondition judge(const Standing& standing) {
    HealthCondition out{"replication", "lag", HealthScope::kShared, HealthState::kOk, "", "", {}};
    if (standing.refused) {
        out.state = HealthState::kFailed;
        out.message = standing.refused->to_string();
        out.remedy = "see \"show replication\"";
        return out;
    }
    if (standing.age && *standing.age <= standing.bound) {
        out.message = fmt::format("this copy is as of {:.1f} s ago", seconds_of(*standing.age));
        return out;
    }
    out.state = HealthState::kFailed;
    out.message = standing.age ? fmt::format("this copy is {:.0f} s old, more than {:.0f} s", seconds_of(*standing.age),
                                             seconds_of(standing.bound))
                               : "this copy has not been compared with etcd yet";
    out.remedy = standing.etcd_answers ? "is the disk full? See \"show replication\" and the log"
                                       : "are a majority of etcd's members up and in reach?";
    const auto better = std::find_if(standing.others.begin(), standing.others.end(), [&](const ServerState& other) {
        return other.announcing && other.age_ms >= 0 && std::chrono::milliseconds(other.age_ms) <= standing.bound;
    });
    if (!standing.etcd_answers || better == standing.others.end()) return out;
    out.scope = HealthScope::kLocal;
    out.message += fmt::format("; {} announces and is fresher", better->name);
    return out;
}

}  // namespace nett::replication
