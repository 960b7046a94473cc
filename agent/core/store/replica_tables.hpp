// What a copy of shared state does to the state file's tables (replica.hpp). The writer's thread, inside a SQLite
// transaction of the caller; throws SQLite::Exception.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "agent/core/store/replica.hpp"
#include "agent/core/store/tables.hpp"

namespace nett {

// How many bytes of differences watchers are told at once after a snapshot.
inline constexpr std::size_t kToldAtOnce = 1U << 20U;

// What a task of the writer left behind.
struct TaskOutcome {
    Revision answer = 0;
    std::vector<Change> changes;       // for the watchers
    std::optional<Revision> revision;  // the store's from now on
    bool renumbered = false;           // revisions have nothing to do with those before
    bool to_all = false;               // the changes are for every watcher, whenever it began
};

class ReplicaTables {
public:
    ReplicaTables(SQLite::Database& database, TransactionApplier& applier, ChangeLog& log);

    // Whether the file is a copy. The revision of local kinds then counts by itself.
    bool active() const { return cluster_ != 0; }
    Revision local_revision() const { return local_revision_; }
    void set_local_revision(Revision revision);
    // After a rollback.
    void reload();
    // kFailedPrecondition: it changes shared kinds, which only come by follow().
    static Result<void> check_local(const Transaction& transaction);

    // Applies what was committed elsewhere, oldest first, up to `complete_to`, which is the store's revision then.
    Result<TaskOutcome> follow(const std::vector<ReplicaRevision>& revisions, Revision complete_to);

    // A snapshot, in three parts. Pages of it are staged beside the records; then the records are made equal to it;
    // then the watchers are told the differences, kToldAtOnce bytes at a time. Answers: tell() gives what to call it
    // with next, 0 when all is told.
    Result<TaskOutcome> stage(const std::vector<ReplicaPut>& page, std::uint64_t cluster, bool first);
    Result<TaskOutcome> adopt(std::uint64_t cluster, Revision revision);
    Result<TaskOutcome> tell(Revision after, Revision revision);

    // The file stands alone again; all its records are its own.
    Result<TaskOutcome> leave();

private:
    std::uint64_t meta(const char* name);
    void set_meta(const char* name, std::uint64_t value);
    void stage_one(const ReplicaPut& put, bool same_cluster);
    void make_equal();

    SQLite::Database& database_;
    TransactionApplier& applier_;
    ChangeLog& log_;
    std::uint64_t cluster_ = 0;
    Revision local_revision_ = 0;
};

// Work for the writer that is no transaction.
using StoreTask = std::function<Result<TaskOutcome>(ReplicaTables&)>;

}  // namespace nett
