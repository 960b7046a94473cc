#include "agent/core/store/replica_tables.hpp"

#include <algorithm>
#include <array>

#include "agent/sdk/port_records.hpp"

namespace nett {

namespace {

constexpr std::array<std::string_view, 4> kLocalKinds{kOwnPortKind, "anycast", "write-probe", "webhook-queue"};

// In `staged`: what the snapshot has, and what becomes of the file's record.
enum class Staged { kSame = 0, kChanged = 1, kGone = 2 };

constexpr const char* kStagingTables = R"sql(
DROP TABLE IF EXISTS temp.staged;
DROP TABLE IF EXISTS temp.staged_index;
CREATE TEMP TABLE staged (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT,
    revision INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    UNIQUE (kind, key)
);
CREATE TEMP TABLE staged_index (kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, key TEXT NOT NULL);
)sql";

}  // namespace

bool is_local_kind(std::string_view kind) {
    return std::find(kLocalKinds.begin(), kLocalKinds.end(), kind) != kLocalKinds.end();
}

std::string shared_kinds_sql() {
    std::string list;
    for (const auto kind : kLocalKinds) list += fmt::format("{}'{}'", list.empty() ? "" : ", ", kind);
    return "kind NOT IN (" + list + ")";
}

ReplicaTables::ReplicaTables(SQLite::Database& database, TransactionApplier& applier, ChangeLog& log)
    : database_(database), applier_(applier), log_(log) {
    reload();
}

std::uint64_t ReplicaTables::meta(const char* name) {
    SQLite::Statement query(database_, "SELECT value FROM meta WHERE name = ?");
    query.bind(1, name);
    return query.executeStep() ? column_integer(query, 0) : 0;
}

void ReplicaTables::set_meta(const char* name, std::uint64_t value) {
    SQLite::Statement upsert(database_,
                             "INSERT INTO meta (name, value) VALUES (?, ?)"
                             " ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    upsert.bind(1, name);
    bind_integer(upsert, 2, value);
    upsert.exec();
}

void ReplicaTables::reload() {
    cluster_ = meta("cluster");
    local_revision_ = meta("local_revision");
}

void ReplicaTables::set_local_revision(Revision revision) {
    set_meta("local_revision", revision);
    local_revision_ = revision;
}

Result<void> ReplicaTables::check_local(const Transaction& transaction) {
    const auto check = [](const std::string& kind, const std::string& key) -> Result<void> {
        if (is_local_kind(kind)) return {};
        return fail(Code::kFailedPrecondition,
                    "{} \"{}\" is shared by several servers, and this state file is a copy: configure \"state etcd\" "
                    "again, or make the file this server's own with \"state migrate out\"",
                    kind, key);
    };
    for (const auto& one : transaction.compares) NETT_TRY(check(one.kind, one.key));
    for (const auto& one : transaction.puts) NETT_TRY(check(one.kind, one.key));
    for (const auto& one : transaction.deletes) NETT_TRY(check(one.kind, one.key));
    return {};
}

Result<TaskOutcome> ReplicaTables::follow(const std::vector<ReplicaRevision>& revisions, Revision complete_to) {
    TaskOutcome outcome;
    for (const auto& one : revisions) NETT_TRY(applier_.apply(one.transaction, one.revision, outcome.changes));
    log_.append(outcome.changes);
    log_.trim();
    set_meta("revision", complete_to);
    outcome.answer = complete_to;
    outcome.revision = complete_to;
    return outcome;
}

void ReplicaTables::stage_one(const ReplicaPut& put, bool same_cluster) {
    SQLite::Statement known(database_, "SELECT revision FROM record WHERE kind = ? AND key = ?");
    bind_text(known, 1, put.kind);
    bind_text(known, 2, put.key);
    const bool same = same_cluster && known.executeStep() && column_integer(known, 0) == put.revision;
    SQLite::Statement insert(database_,
                             "INSERT INTO staged (kind, key, value, revision, state) VALUES (?, ?, ?, ?, ?)");
    bind_text(insert, 1, put.kind);
    bind_text(insert, 2, put.key);
    if (same) {
        insert.bind(3);
    } else {
        bind_text(insert, 3, put.value);
    }
    bind_integer(insert, 4, put.revision);
    insert.bind(5, static_cast<int>(same ? Staged::kSame : Staged::kChanged));
    insert.exec();
    if (same) return;
    for (const auto& entry : put.indexes) {
        SQLite::Statement index(database_, "INSERT INTO staged_index (kind, name, value, key) VALUES (?, ?, ?, ?)");
        bind_text(index, 1, put.kind);
        bind_text(index, 2, entry.index);
        bind_text(index, 3, entry.value);
        bind_text(index, 4, put.key);
        index.exec();
    }
}

Result<TaskOutcome> ReplicaTables::stage(const std::vector<ReplicaPut>& page, std::uint64_t cluster, bool first) {
    if (first) database_.exec(kStagingTables);
    for (const auto& put : page) stage_one(put, cluster == cluster_);
    return TaskOutcome{};
}

// Old index entries go before new ones come: a value may have moved from one record to another.
void ReplicaTables::make_equal() {
    database_.exec(
        "INSERT INTO staged (kind, key, value, revision, state) SELECT kind, key, NULL, 0, 2 FROM record WHERE " +
        shared_kinds_sql() +
        " AND NOT EXISTS (SELECT 1 FROM staged WHERE staged.kind = record.kind AND staged.key = record.key)");
    database_.exec(R"sql(
DELETE FROM record WHERE EXISTS
    (SELECT 1 FROM staged WHERE staged.kind = record.kind AND staged.key = record.key AND state = 2);
DELETE FROM index_entry WHERE EXISTS
    (SELECT 1 FROM staged WHERE staged.kind = index_entry.kind AND staged.key = index_entry.key AND state = 1);
INSERT INTO record (kind, key, value, revision) SELECT kind, key, value, revision FROM staged WHERE state = 1
    ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, revision = excluded.revision;
INSERT OR IGNORE INTO index_entry (kind, name, value, key) SELECT kind, name, value, key FROM staged_index;
)sql");
}

Result<TaskOutcome> ReplicaTables::adopt(std::uint64_t cluster, Revision revision) {
    make_equal();
    if (!active()) set_local_revision(std::max(meta("revision"), meta("local_revision")));
    TaskOutcome outcome;
    outcome.renumbered = cluster != cluster_;
    set_meta("cluster", cluster);
    set_meta("revision", revision);
    cluster_ = cluster;
    log_.restart(revision);
    outcome.answer = revision;
    outcome.revision = revision;
    return outcome;
}

Result<TaskOutcome> ReplicaTables::tell(Revision after, Revision revision) {
    SQLite::Statement query(
        database_, "SELECT id, kind, key, value, revision, state FROM staged WHERE id > ? AND state <> 0 ORDER BY id");
    bind_integer(query, 1, after);
    TaskOutcome outcome;
    outcome.to_all = true;
    std::size_t bytes = 0;
    while (bytes < kToldAtOnce) {
        if (!query.executeStep()) {
            query.reset();
            database_.exec("DROP TABLE staged; DROP TABLE staged_index");
            outcome.answer = 0;
            return outcome;
        }
        outcome.answer = column_integer(query, 0);
        Change change{revision, column_text(query, 1), column_text(query, 2), std::nullopt, "replication", "snapshot"};
        if (query.getColumn(5).getInt() == static_cast<int>(Staged::kChanged)) {
            change.value = column_text(query, 3);
            change.revision = column_integer(query, 4);
        }
        bytes += change.kind.size() + change.key.size() + (change.value ? change.value->size() : 0);
        outcome.changes.push_back(std::move(change));
    }
    return outcome;
}

Result<TaskOutcome> ReplicaTables::leave() {
    TaskOutcome outcome;
    const Revision revision = std::max(meta("revision"), local_revision_);
    set_meta("cluster", 0);
    set_meta("revision", revision);
    cluster_ = 0;
    outcome.answer = revision;
    outcome.revision = revision;
    return outcome;
}

}  // namespace nett
