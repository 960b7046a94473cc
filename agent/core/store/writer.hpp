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
#include "agent/core/store/watch_hub.hpp"

namespace nett {

// Transactions that share one SQLite commit: bounds how long the first of them waits for the others' statements.
inline constexpr std::size_t kMaxGroupedCommits = 256;

// What one transaction does to the tables. Runs inside a SQLite transaction of the caller; throws SQLite::Exception.
class TransactionApplier {
public:
    explicit TransactionApplier(SQLite::Database& database);

    // Applies it as `revision` and appends its changes. On an error what it did must be rolled back by the caller.
    // Nothing is appended when it changed nothing.
    Result<void> apply(const Transaction& transaction, Revision revision, std::vector<Change>& changes);

private:
    Result<void> check(const Transaction::Compare& compare);
    Result<void> remove(const Transaction::Delete& deletion, bool& existed);
    Result<void> put(const Transaction::Put& put, Revision revision);
    Result<void> put_indexes(const Transaction::Put& put);

    SQLite::Statement revision_of_;
    SQLite::Statement delete_record_;
    SQLite::Statement delete_indexes_;
    SQLite::Statement upsert_record_;
    SQLite::Statement owner_of_index_;
    SQLite::Statement insert_index_;
};

// The bounded log behind Store::changes(). Same thread and transaction as the applier.
class ChangeLog {
public:
    explicit ChangeLog(SQLite::Database& database);

    void append(const std::vector<Change>& changes);
    // Forgets the oldest until both bounds hold.
    void trim();
    // After a rollback: counts again what is there.
    void recount();

private:
    SQLite::Statement insert_;
    SQLite::Statement drop_oldest_;
    SQLite::Statement set_compacted_;
    SQLite::Statement count_;
    std::uint64_t length_ = 0;
    std::uint64_t bytes_ = 0;
};

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

private:
    struct Pending {
        Transaction transaction;
        asio::any_io_executor executor;  // tracked: its context does not run out of work meanwhile
        Handler handler;
    };
    struct Outcome {
        std::vector<Result<Revision>> results;  // one a transaction
        std::vector<Change> changes;
        Revision revision = 0;
    };

    void run();
    std::vector<Pending> take_group();
    void commit_group(std::vector<Pending> group);
    Result<Outcome> try_group(const std::vector<Pending>& group);
    Result<void> apply_in_savepoint(const Transaction& transaction, Revision revision, std::vector<Change>& changes);
    void publish(std::vector<Pending> group, Outcome outcome);
    static void complete(Pending pending, Result<Revision> result);

    const std::string path_;
    std::unique_ptr<SQLite::Database> database_;
    asio::any_io_executor loop_;
    std::shared_ptr<std::atomic<Revision>> revision_;
    std::shared_ptr<WatchHub> watchers_;
    TransactionApplier applier_;
    ChangeLog log_;
    SQLite::Statement set_revision_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Pending> queue_;
    bool stopping_ = false;
    std::thread thread_;  // last: uses all of the above
};

}  // namespace nett
