// Commits on disk: what `rollback` can load after a restart, and a commit that waits for its confirmation.
//
// A folder beside the state file, not in it: each agent has its own, whatever state several agents share. A commit is
// one file, <revision>.conf, that is a configuration file by itself; comments at its top say when and who. The pending
// confirmation is one file, "unconfirmed". Files appear by rename; mode 0600, because a configuration may say more than
// everybody should read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

inline constexpr std::size_t kKeptCommits = 50;  // that `rollback` can reach, the running one included

// One configuration that was in force.
struct CommitRecord {
    std::uint64_t revision = 0;
    SystemTime time;
    std::string actor;
    std::string text;  // canonical
};

// A commit that is taken back unless somebody confirms it in time.
struct Unconfirmed {
    std::uint64_t revision = 0;
    SystemTime deadline;
    std::string actor;
    std::string fallback;  // the configuration to go back to, canonical text
};

// Blocking, but files of a few kilobytes. One thread.
class CommitLog {
public:
    // Makes the folder when it is missing.
    static Result<CommitLog> open(std::string folder);

    // Newest first, at most kKeptCommits. A file that cannot be read is left out.
    std::vector<CommitRecord> load() const;
    // Durable when it returns; the oldest go.
    Result<void> append(const CommitRecord& record) const;

    // Nothing: no commit waits. kDataLoss when the file is there and makes no sense.
    Result<std::optional<Unconfirmed>> unconfirmed() const;
    Result<void> set_unconfirmed(const Unconfirmed& pending) const;
    Result<void> clear_unconfirmed() const;

private:
    explicit CommitLog(std::string folder) : folder_(std::move(folder)) {}
    std::vector<std::uint64_t> revisions() const;  // newest first
    std::string path_of(std::uint64_t revision) const;

    std::string folder_;
};

}  // namespace nett
