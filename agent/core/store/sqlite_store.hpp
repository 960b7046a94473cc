// The state file: the agent's one implementation of agent/sdk/store.hpp, on SQLite (WAL, synchronous=FULL).
//
// Threads. One writer thread owns the only writing connection. Transactions that queue up while it is busy share the
// next SQLite commit and its fsync; each has a savepoint of its own, so one that fails leaves the others alone. Reads
// take one of a few connections with prepared statements, from any thread.
//
// Order. A change is on disk first, then readers see it, then watchers are told on the loop thread, then the committer
// resumes: on the loop thread a cache fed by watch() is up to date when commit() returns.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/core/store/file_lock.hpp"
#include "agent/core/store/replica.hpp"
#include "agent/sdk/metrics.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

class ReaderPool;
class WatchHub;
class StoreWriter;

// How many changes, and how many bytes of them, can be read back by changes(). A watcher that is further behind lists
// again.
inline constexpr std::uint64_t kChangeLogLength = 10'000;  // hours of a busy fabric
inline constexpr std::uint64_t kChangeLogBytes = 64ULL
                                                 << 20U;  // machine configs make changes of 100 kB; bounds the file

// What one transaction may carry; larger is kInvalidArgument. check_transaction() says what is wrong with one whatever
// the state.
inline constexpr std::size_t kMaxKeySize = 512;            // names are 63, job keys 20, an indexed value at most a URL
inline constexpr std::size_t kMaxValueSize = 4U << 20U;    // Talos configs are under 100 kB; gRPC messages under 4 MiB
inline constexpr std::size_t kMaxRecordsPerCommit = 1000;  // keeps one caller from holding the writer for long
// Transactions waiting for the writer; more are kResourceExhausted.
inline constexpr std::size_t kMaxQueuedCommits = 4096;

Result<void> check_transaction(const Transaction& transaction);

struct SqliteOptions {
    // Largest size of the database in pages of 4096 bytes (without its log); 0: as much as the disk holds.
    std::uint64_t max_pages = 0;
};

// Thread-safe, but for watch(): loop thread only. Must go before the executors that commit() was called on.
class SqliteStore final : public Store {
public:
    // Opens or creates the file (0600) and brings its schema up to date. The directory must exist. `loop` runs the
    // watchers. kFailedPrecondition: another agent has it (named by its pid), it is newer than this program, or it is
    // not nett's. kDataLoss: damaged. kPermissionDenied, kNotFound, kResourceExhausted: as the file system says.
    static Result<std::unique_ptr<SqliteStore>> open(std::string path, asio::any_io_executor loop,
                                                     SqliteOptions options = {});
    // Writes what is queued, then closes.
    ~SqliteStore() override;

    Result<std::optional<Record>> get(std::string_view kind, std::string_view key) const override;
    Result<std::optional<Record>> find(std::string_view kind, std::string_view index,
                                       std::string_view value) const override;
    Result<std::vector<Record>> list(std::string_view kind, std::string_view after, std::size_t limit) const override;
    Result<std::vector<Record>> scan(std::string_view kind, std::string_view index, std::string_view prefix,
                                     std::string_view after, std::size_t limit) const override;
    Result<std::uint64_t> count(std::string_view kind, std::string_view index, std::string_view prefix) const override;
    // kFailedPrecondition when `since` is older than the change log: list the records, then go on from revision().
    Result<std::vector<Change>> changes(Revision since, std::size_t limit) const override;
    Revision revision() const override { return revision_->load(std::memory_order_acquire); }

    // Deletes are done before puts, so an index value may move between records in one transaction. Deleting what is not
    // there changes nothing; a transaction that changes nothing answers with the current revision.
    Awaitable<Result<Revision>> commit(Transaction transaction) override;
    // Only changes later than revision() at the time of this call are delivered.
    [[nodiscard]] Subscription watch(std::string kind, std::function<void(const Change&)> observer) override;

    const std::string& path() const { return path_; }
    // Where the time of each commit is counted. Before the first one.
    void measure_commits(std::shared_ptr<Histogram> seconds) { commit_seconds_ = std::move(seconds); }

    // ---- The file as a copy of shared state (replica.hpp). A file that is one takes only local kinds by commit().
    // Tasks run on the writer's thread; answers and errors as commit()'s.
    Result<ReplicaState> replica_state() const;
    Result<std::vector<IndexEntry>> indexes_of(std::string_view kind, std::string_view key) const;
    // Shared records with their index entries, in order of kind and key, after that of (kind, key).
    Result<std::vector<ReplicaPut>> shared_records(std::string_view kind, std::string_view key,
                                                   std::size_t limit) const;
    // Applies what was committed elsewhere; revision() is `complete_to` then.
    Awaitable<Result<Revision>> follow(std::vector<ReplicaRevision> revisions, Revision complete_to);
    // Makes the shared records equal to a snapshot: its pages, then adopt(), which also tells the watchers.
    Awaitable<Result<Revision>> stage(std::vector<ReplicaPut> page, std::uint64_t cluster, bool first);
    Awaitable<Result<Revision>> adopt(std::uint64_t cluster, Revision revision);
    // The file stands alone again.
    Awaitable<Result<Revision>> leave_cluster();

private:
    std::shared_ptr<Histogram> commit_seconds_;
    SqliteStore();
    template <typename Work>
    Awaitable<Result<Revision>> submit(Work work);

    std::string path_;
    FileLock lock_;
    std::shared_ptr<std::atomic<Revision>> revision_;
    std::shared_ptr<WatchHub> watchers_;
    std::unique_ptr<ReaderPool> readers_;
    std::unique_ptr<StoreWriter> writer_;  // last: its thread uses the members above
};

}  // namespace nett
