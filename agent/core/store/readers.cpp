#include "agent/core/store/readers.hpp"

#include <algorithm>
#include <limits>

namespace nett {

namespace {

std::unique_ptr<SQLite::Database> open_reader(const std::string& path) {
    auto database = open_connection(path, ConnectionRole::kReader);
    configure_connection(*database, ConnectionRole::kReader, {});
    return database;
}

// The first text after all that begin with `prefix`, in SQLite's byte order.
std::string end_of(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
    if (end.empty()) return "\xff";  // no UTF-8 text begins with it
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

void bind_range(SQLite::Statement& statement, const IndexRange& range) {
    bind_text(statement, 1, range.kind);
    bind_text(statement, 2, range.index);
    bind_text(statement, 3, range.prefix);
    bind_text(statement, 4, end_of(range.prefix));
}

// SQLite's integers are signed.
std::uint64_t as_limit(std::size_t limit) {
    return std::min<std::uint64_t>(limit, std::numeric_limits<std::int64_t>::max());
}

}  // namespace

ReadConnection::ReadConnection(const std::string& path)
    : database_(open_reader(path)),
      get_(*database_, "SELECT value, revision FROM record WHERE kind = ? AND key = ?"),
      find_(*database_,
            "SELECT record.key, record.value, record.revision FROM index_entry"
            " JOIN record ON record.kind = index_entry.kind AND record.key = index_entry.key"
            " WHERE index_entry.kind = ? AND index_entry.name = ? AND index_entry.value = ?"),
      list_(*database_, "SELECT key, value, revision FROM record WHERE kind = ? AND key > ? ORDER BY key LIMIT ?"),
      scan_(*database_,
            "SELECT record.key, record.value, record.revision FROM index_entry"
            " JOIN record ON record.kind = index_entry.kind AND record.key = index_entry.key"
            " WHERE index_entry.kind = ? AND index_entry.name = ? AND index_entry.value >= ? AND index_entry.value < ?"
            " AND index_entry.value > ? ORDER BY index_entry.value LIMIT ?"),
      count_(*database_, "SELECT count(*) FROM index_entry WHERE kind = ? AND name = ? AND value >= ? AND value < ?"),
      changes_(*database_,
               "SELECT revision, kind, key, value, actor, reason FROM change WHERE revision > ? ORDER BY revision, id"),
      meta_(*database_, "SELECT value FROM meta WHERE name = ?"),
      indexes_of_(*database_, "SELECT name, value FROM index_entry WHERE kind = ? AND key = ?") {}

std::optional<Record> ReadConnection::get(std::string_view kind, std::string_view key) {
    const StatementScope scope(get_);
    bind_text(get_, 1, kind);
    bind_text(get_, 2, key);
    if (!get_.executeStep()) return std::nullopt;
    return Record{std::string(kind), std::string(key), column_text(get_, 0), column_integer(get_, 1)};
}

std::optional<Record> ReadConnection::find(std::string_view kind, std::string_view index, std::string_view value) {
    const StatementScope scope(find_);
    bind_text(find_, 1, kind);
    bind_text(find_, 2, index);
    bind_text(find_, 3, value);
    if (!find_.executeStep()) return std::nullopt;
    return Record{std::string(kind), column_text(find_, 0), column_text(find_, 1), column_integer(find_, 2)};
}

std::vector<Record> ReadConnection::list(std::string_view kind, std::string_view after, std::size_t limit) {
    const StatementScope scope(list_);
    bind_text(list_, 1, kind);
    bind_text(list_, 2, after);
    bind_integer(list_, 3, as_limit(limit));
    std::vector<Record> records;
    while (list_.executeStep()) {
        records.push_back({std::string(kind), column_text(list_, 0), column_text(list_, 1), column_integer(list_, 2)});
    }
    return records;
}

std::vector<Record> ReadConnection::scan(const IndexRange& range, std::string_view after, std::size_t limit) {
    const StatementScope scope(scan_);
    bind_range(scan_, range);
    bind_text(scan_, 5, after);
    bind_integer(scan_, 6, as_limit(limit));
    std::vector<Record> records;
    while (scan_.executeStep()) {
        records.push_back(
            {std::string(range.kind), column_text(scan_, 0), column_text(scan_, 1), column_integer(scan_, 2)});
    }
    return records;
}

std::uint64_t ReadConnection::count(const IndexRange& range) {
    const StatementScope scope(count_);
    bind_range(count_, range);
    count_.executeStep();
    return column_integer(count_, 0);
}

std::vector<Change> ReadConnection::changes(Revision since, std::size_t limit) {
    const StatementScope scope(changes_);
    bind_integer(changes_, 1, as_limit(since));
    std::vector<Change> changes;
    while (changes_.executeStep()) {
        const Revision revision = column_integer(changes_, 0);
        // Never a part of a transaction: the caller goes on after the last revision it got.
        if (changes.size() >= limit && (changes.empty() || changes.back().revision != revision)) break;
        Change change{revision,     column_text(changes_, 1), column_text(changes_, 2),
                      std::nullopt, column_text(changes_, 4), column_text(changes_, 5)};
        if (!changes_.isColumnNull(3)) change.value = column_text(changes_, 3);
        changes.push_back(std::move(change));
    }
    return changes;
}

std::uint64_t ReadConnection::meta(std::string_view name) {
    const StatementScope scope(meta_);
    bind_text(meta_, 1, name);
    return meta_.executeStep() ? column_integer(meta_, 0) : 0;
}

// Rare, so not prepared.
ReplicaState ReadConnection::replica_state() {
    SQLite::Statement count(*database_, "SELECT count(*) FROM record WHERE " + shared_kinds_sql());
    count.executeStep();
    return {meta("cluster"), meta("instance"), meta("revision"), column_integer(count, 0)};
}

std::vector<IndexEntry> ReadConnection::indexes_of(std::string_view kind, std::string_view key) {
    const StatementScope scope(indexes_of_);
    bind_text(indexes_of_, 1, kind);
    bind_text(indexes_of_, 2, key);
    std::vector<IndexEntry> entries;
    while (indexes_of_.executeStep()) entries.push_back({column_text(indexes_of_, 0), column_text(indexes_of_, 1)});
    return entries;
}

std::vector<ReplicaPut> ReadConnection::shared_records(std::string_view kind, std::string_view key, std::size_t limit) {
    SQLite::Statement query(*database_, "SELECT kind, key, value, revision FROM record WHERE " + shared_kinds_sql() +
                                            " AND (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?");
    bind_text(query, 1, kind);
    bind_text(query, 2, key);
    bind_integer(query, 3, as_limit(limit));
    std::vector<ReplicaPut> records;
    while (query.executeStep()) {
        records.push_back(
            {column_text(query, 0), column_text(query, 1), column_text(query, 2), column_integer(query, 3), {}});
        records.back().indexes = indexes_of(records.back().kind, records.back().key);
    }
    return records;
}

ReaderPool::ReaderPool(std::string path) : path_(std::move(path)) {
    for (std::size_t i = 0; i < kReadConnections; ++i) idle_.push_back(std::make_unique<ReadConnection>(path_));
}

std::unique_ptr<ReadConnection> ReaderPool::take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [this] { return !idle_.empty(); });
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    return connection;
}

void ReaderPool::give_back(std::unique_ptr<ReadConnection> connection) {
    {
        const std::lock_guard lock(mutex_);
        idle_.push_back(std::move(connection));
    }
    returned_.notify_one();
}

}  // namespace nett
