// TransactionApplier and ChangeLog: what a transaction does to the tables.
#include <chrono>

#include "agent/core/store/tables.hpp"

namespace nett {

TransactionApplier::TransactionApplier(SQLite::Database& database)
    : revision_of_(database, "SELECT revision FROM record WHERE kind = ? AND key = ?"),
      delete_record_(database, "DELETE FROM record WHERE kind = ? AND key = ?"),
      delete_indexes_(database, "DELETE FROM index_entry WHERE kind = ? AND key = ?"),
      upsert_record_(database,
                     "INSERT INTO record (kind, key, value, revision) VALUES (?, ?, ?, ?)"
                     " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, revision = excluded.revision"),
      owner_of_index_(database, "SELECT key FROM index_entry WHERE kind = ? AND name = ? AND value = ?"),
      insert_index_(database, "INSERT INTO index_entry (kind, name, value, key) VALUES (?, ?, ?, ?)") {}

Result<void> TransactionApplier::check(const Transaction::Compare& compare) {
    const StatementScope scope(revision_of_);
    bind_text(revision_of_, 1, compare.kind);
    bind_text(revision_of_, 2, compare.key);
    const Revision now = revision_of_.executeStep() ? column_integer(revision_of_, 0) : 0;
    if (now == compare.revision) return {};
    return fail(Code::kAborted, "{} \"{}\" has revision {}, expected {}; read it again", compare.kind, compare.key, now,
                compare.revision);
}

Result<void> TransactionApplier::remove(const Transaction::Delete& deletion, bool& existed) {
    const StatementScope scope(delete_record_);
    bind_text(delete_record_, 1, deletion.kind);
    bind_text(delete_record_, 2, deletion.key);
    existed = delete_record_.exec() != 0;  // its index entries go with it (ON DELETE CASCADE)
    return {};
}

Result<void> TransactionApplier::put(const Transaction::Put& put, Revision revision) {
    const StatementScope scope(upsert_record_);
    bind_text(upsert_record_, 1, put.kind);
    bind_text(upsert_record_, 2, put.key);
    bind_text(upsert_record_, 3, put.value);
    bind_integer(upsert_record_, 4, revision);
    upsert_record_.exec();
    return {};
}

Result<void> TransactionApplier::put_indexes(const Transaction::Put& put) {
    for (const auto& entry : put.indexes) {
        const StatementScope owner_scope(owner_of_index_);
        bind_text(owner_of_index_, 1, put.kind);
        bind_text(owner_of_index_, 2, entry.index);
        bind_text(owner_of_index_, 3, entry.value);
        if (owner_of_index_.executeStep()) {
            const auto owner = column_text(owner_of_index_, 0);
            if (owner == put.key) continue;  // listed twice
            return fail(Code::kAlreadyExists, "{} \"{}\" has {} {} already; {} \"{}\" cannot have it too", put.kind,
                        owner, entry.index, entry.value, put.kind, put.key);
        }
        const StatementScope insert_scope(insert_index_);
        bind_text(insert_index_, 1, put.kind);
        bind_text(insert_index_, 2, entry.index);
        bind_text(insert_index_, 3, entry.value);
        bind_text(insert_index_, 4, put.key);
        insert_index_.exec();
    }
    return {};
}

Result<void> TransactionApplier::apply(const Transaction& transaction, Revision revision,
                                       std::vector<Change>& changes) {
    for (const auto& compare : transaction.compares) NETT_TRY(check(compare));
    for (const auto& deletion : transaction.deletes) {
        bool existed = false;
        NETT_TRY(remove(deletion, existed));
        if (!existed) continue;
        changes.push_back({revision, deletion.kind, deletion.key, std::nullopt, transaction.actor, transaction.reason});
    }
    // All old index entries go before any new one comes: two records may swap their values.
    for (const auto& put : transaction.puts) {
        const StatementScope scope(delete_indexes_);
        bind_text(delete_indexes_, 1, put.kind);
        bind_text(delete_indexes_, 2, put.key);
        delete_indexes_.exec();
    }
    for (const auto& put : transaction.puts) {
        NETT_TRY(this->put(put, revision));
        NETT_TRY(put_indexes(put));
        changes.push_back({revision, put.kind, put.key, put.value, transaction.actor, transaction.reason});
    }
    return {};
}

ChangeLog::ChangeLog(SQLite::Database& database)
    : insert_(
          database,
          "INSERT INTO change (revision, time, kind, key, value, actor, reason, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
      drop_oldest_(database, "DELETE FROM change WHERE id = (SELECT min(id) FROM change) RETURNING revision, size"),
      drop_all_(database, "DELETE FROM change"),
      set_compacted_(database, "UPDATE meta SET value = ? WHERE name = 'compacted'"),
      count_(database, "SELECT count(*), coalesce(sum(size), 0) FROM change") {
    recount();
}

void ChangeLog::append(const std::vector<Change>& changes) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    for (const auto& change : changes) {
        const std::size_t size = change.kind.size() + change.key.size() + (change.value ? change.value->size() : 0) +
                                 change.actor.size() + change.reason.size();
        const StatementScope scope(insert_);
        bind_integer(insert_, 1, change.revision);
        bind_integer(insert_, 2, static_cast<std::uint64_t>(now_ms));
        bind_text(insert_, 3, change.kind);
        bind_text(insert_, 4, change.key);
        if (change.value) {
            bind_text(insert_, 5, *change.value);
        } else {
            insert_.bind(5);
        }
        bind_text(insert_, 6, change.actor);
        bind_text(insert_, 7, change.reason);
        bind_integer(insert_, 8, size);
        insert_.exec();
        ++length_;
        bytes_ += size;
    }
}

void ChangeLog::trim() {
    Revision compacted = 0;
    while (length_ > kChangeLogLength || (bytes_ > kChangeLogBytes && length_ > 0)) {
        const StatementScope scope(drop_oldest_);
        if (!drop_oldest_.executeStep()) break;
        compacted = column_integer(drop_oldest_, 0);
        bytes_ -= column_integer(drop_oldest_, 1);
        --length_;
    }
    if (compacted != 0) set_compacted(compacted);
}

void ChangeLog::restart(Revision revision) {
    drop_all_.exec();
    drop_all_.reset();
    set_compacted(revision);
    recount();
}

void ChangeLog::set_compacted(Revision revision) {
    const StatementScope scope(set_compacted_);
    bind_integer(set_compacted_, 1, revision);
    set_compacted_.exec();
}

void ChangeLog::recount() {
    const StatementScope scope(count_);
    count_.executeStep();
    length_ = column_integer(count_, 0);
    bytes_ = column_integer(count_, 1);
}

}  // namespace nett
