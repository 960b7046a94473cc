// What transactions do to the state file's tables. The writer's thread, inside a SQLite transaction of the caller;
// throw SQLite::Exception.
#pragma once

#include <vector>

#include "agent/core/store/connection.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

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

// The bounded log behind Store::changes().
class ChangeLog {
public:
    explicit ChangeLog(SQLite::Database& database);

    void append(const std::vector<Change>& changes);
    // Forgets the oldest until both bounds hold.
    void trim();
    // Forgets all: what came before `revision` cannot be read back.
    void restart(Revision revision);
    // After a rollback: counts again what is there.
    void recount();

private:
    void set_compacted(Revision revision);

    SQLite::Statement insert_;
    SQLite::Statement drop_oldest_;
    SQLite::Statement drop_all_;
    SQLite::Statement set_compacted_;
    SQLite::Statement count_;
    std::uint64_t length_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace nett
