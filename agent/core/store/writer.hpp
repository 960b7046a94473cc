// The store's one writer: a thread that applies queued transactions in groups.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>

#include "agent/core/store/connection.hpp"
#include "agent/core/store/replica_tables.hpp"
#include "agent/core/store/tables.hpp"
#include "agent/core/store/watch_hub.hpp"

namespace nett {

// Transactions that share one SQLite commit: bounds how long the first of them waits for the others' statements.
inline constexpr std::size_t kMaxGroupedCommits = 256;

class StoreWriter {
public:
    using Handler = asio::any_completion_handler<void(Result<Revision>)>;

    // Throws SQLite::Exception. The connection is the writer's from here on.
    StoreWriter(std::string path, std::unique_ptr<SQLite::Database> database, asio::any_io_executor loop,
                std::shared_ptr<std::atomic<Revision>> revision, std::shared_ptr<WatchHub> watchers);
    // Writes what is queued.
    ~StoreWriter();

    // Thread-safe. `handler` runs on `executor`.
    void submit(Transaction transaction, asio::any_io_executor executor, Handler handler);
    // The same for work of another shape; it has a SQLite transaction to itself.
    void submit(StoreTask task, asio::any_io_executor executor, Handler handler);

private:
    struct Pending {
        Transaction transaction;
        StoreTask task;                  // instead, if there is one
        asio::any_io_executor executor;  // tracked: its context does not run out of work meanwhile
        Handler handler;
    };
    struct Outcome {
        std::vector<Result<Revision>> results;  // one a transaction
        std::vector<Change> changes;
        Revision revision = 0;
        bool local = false;  // numbered apart: the file is a copy of shared state
    };

    void enqueue(Pending pending);
    void run();
    std::vector<Pending> take_group();
    void commit_group(std::vector<Pending> group);
    Result<Outcome> try_group(const std::vector<Pending>& group);
    Result<void> apply_in_savepoint(const Transaction& transaction, Revision revision, std::vector<Change>& changes);
    void number(const Outcome& outcome);
    void publish(std::vector<Pending> group, Outcome outcome);
    void run_task(Pending pending);
    // Some errors end SQLite's transaction by themselves, others leave it open.
    Result<void> roll_back();
    static void complete(Pending pending, Result<Revision> result);

    const std::string path_;
    std::unique_ptr<SQLite::Database> database_;
    asio::any_io_executor loop_;
    std::shared_ptr<std::atomic<Revision>> revision_;
    std::shared_ptr<WatchHub> watchers_;
    TransactionApplier applier_;
    ChangeLog log_;
    ReplicaTables replica_;
    SQLite::Statement set_revision_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Pending> queue_;
    bool stopping_ = false;
    std::thread thread_;  // last: uses all of the above
};

}  // namespace nett
