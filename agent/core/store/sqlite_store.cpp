#include "agent/core/store/sqlite_store.hpp"

#include <fcntl.h>
#include <set>

#include <boost/asio/async_result.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/core/store/posix_file.hpp"
#include "agent/core/store/readers.hpp"
#include "agent/core/store/schema.hpp"
#include "agent/core/store/watch_hub.hpp"
#include "agent/core/store/writer.hpp"

namespace nett {

namespace {

// SQLite would make the file with the umask's mode; its -wal and -shm files take the mode of this one. Must be closed
// before SQLite opens it: closing a descriptor drops all POSIX locks of the process on the file.
Result<void> make_private_file(const std::string& path) {
    auto fd = open_file(path, O_RDWR | O_CREAT | O_NOCTTY, 0600);
    if (!fd) return fail(std::move(fd.error()));
    return {};
}

// A damaged file is found at start, not at the first boot that needs the broken page.
Result<void> check_integrity(SQLite::Database& database, const std::string& path) {
    const auto verdict = database.execAndGet("PRAGMA quick_check(1)").getString();
    if (verdict == "ok") return {};
    return fail(Error{Code::kDataLoss,
                      verdict + "; the state file is damaged: restore a backup, or move it away to start empty", path});
}

Result<void> check_key(std::string_view what, std::string_view text) {
    if (text.empty()) return fail(Code::kInvalidArgument, "a record's {} must not be empty", what);
    if (text.size() > kMaxKeySize) {
        return fail(Code::kInvalidArgument, "a record's {} has {} bytes; at most {} fit", what, text.size(),
                    kMaxKeySize);
    }
    return {};
}

Result<void> check_put(const Transaction::Put& put) {
    NETT_TRY(check_key("kind", put.kind));
    NETT_TRY(check_key("key", put.key));
    for (const auto& entry : put.indexes) {
        NETT_TRY(check_key("index", entry.index));
        NETT_TRY(check_key("indexed value", entry.value));
    }
    if (put.value.size() > kMaxValueSize) {
        return fail(Code::kInvalidArgument, "{} \"{}\" has {} bytes; at most {} fit", put.kind, put.key,
                    put.value.size(), kMaxValueSize);
    }
    return {};
}

// A name of the file's own, for as long as it lives: servers that share their state are told apart by it.
void make_instance(SQLite::Database& database) {
    database.exec(
        "INSERT INTO meta (name, value) SELECT 'instance', (random() & 0x7fffffffffffffff) | 1"
        " WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = 'instance')");
}

}  // namespace

Result<void> check_transaction(const Transaction& transaction) {
    if (transaction.compares.size() + transaction.puts.size() + transaction.deletes.size() > kMaxRecordsPerCommit) {
        return fail(Code::kInvalidArgument, "a transaction has at most {} parts", kMaxRecordsPerCommit);
    }
    std::set<std::pair<std::string_view, std::string_view>> touched;
    const auto touch = [&](std::string_view kind, std::string_view key) -> Result<void> {
        if (touched.emplace(kind, key).second) return {};
        return fail(Code::kInvalidArgument, "a transaction changes {} \"{}\" twice", kind, key);
    };
    for (const auto& put : transaction.puts) {
        NETT_TRY(check_put(put));
        NETT_TRY(touch(put.kind, put.key));
    }
    for (const auto& deletion : transaction.deletes) NETT_TRY(touch(deletion.kind, deletion.key));
    return {};
}

SqliteStore::SqliteStore()
    : revision_(std::make_shared<std::atomic<Revision>>(0)), watchers_(std::make_shared<WatchHub>()) {}

SqliteStore::~SqliteStore() {
    readers_.reset();  // the writing connection closes last: it then checkpoints and removes the log
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(std::string path, asio::any_io_executor loop,
                                                       SqliteOptions options) {
    auto lock = FileLock::acquire(path, "state file");
    if (!lock) return fail(std::move(lock.error()));
    NETT_TRY(make_private_file(path));
    std::unique_ptr<SqliteStore> store(new SqliteStore);
    store->path_ = path;
    store->lock_ = std::move(*lock);
    auto opened = guard_sqlite(path, [&]() -> Result<void> {
        auto database = open_connection(path, ConnectionRole::kWriter);
        NETT_TRY(migrate(*database, path, state_migrations()));
        configure_connection(*database, ConnectionRole::kWriter, options);
        NETT_TRY(check_integrity(*database, path));
        make_instance(*database);
        store->readers_ = std::make_unique<ReaderPool>(path);
        auto revision =
            store->readers_->with([](ReadConnection& reader) -> Result<Revision> { return reader.meta("revision"); });
        if (!revision) return fail(std::move(revision.error()));
        store->revision_->store(*revision);
        store->writer_ = std::make_unique<StoreWriter>(path, std::move(database), std::move(loop), store->revision_,
                                                       store->watchers_);
        return {};
    });
    if (!opened) return fail(std::move(opened.error()));
    return store;
}

Result<std::optional<Record>> SqliteStore::get(std::string_view kind, std::string_view key) const {
    return readers_->with(
        [&](ReadConnection& reader) -> Result<std::optional<Record>> { return reader.get(kind, key); });
}

Result<std::optional<Record>> SqliteStore::find(std::string_view kind, std::string_view index,
                                                std::string_view value) const {
    return readers_->with(
        [&](ReadConnection& reader) -> Result<std::optional<Record>> { return reader.find(kind, index, value); });
}

Result<std::vector<Record>> SqliteStore::list(std::string_view kind, std::string_view after, std::size_t limit) const {
    return readers_->with(
        [&](ReadConnection& reader) -> Result<std::vector<Record>> { return reader.list(kind, after, limit); });
}

Result<std::vector<Record>> SqliteStore::scan(std::string_view kind, std::string_view index, std::string_view prefix,
                                              std::string_view after, std::size_t limit) const {
    return readers_->with([&](ReadConnection& reader) -> Result<std::vector<Record>> {
        return reader.scan({kind, index, prefix}, after, limit);
    });
}

Result<std::uint64_t> SqliteStore::count(std::string_view kind, std::string_view index, std::string_view prefix) const {
    return readers_->with([&](ReadConnection& reader) -> Result<std::uint64_t> {
        return reader.count({kind, index, prefix});
    });
}

Result<std::vector<Change>> SqliteStore::changes(Revision since, std::size_t limit) const {
    return readers_->with([&](ReadConnection& reader) -> Result<std::vector<Change>> {
        auto changes = reader.changes(since, limit);
        // Looked up after the rows: what was dropped before they were read shows here.
        const Revision compacted = reader.meta("compacted");
        if (since >= compacted) return changes;
        return fail(
            Code::kFailedPrecondition,
            "changes after revision {} are no longer kept, only those after {}; list the records, then go on from "
            "revision {}",
            since, compacted, revision());
    });
}

template <typename Work>
Awaitable<Result<Revision>> SqliteStore::submit(Work work) {
    auto executor = co_await asio::this_coro::executor;
    auto initiation = [this, &work, &executor](auto handler) {
        writer_->submit(std::move(work), executor, std::move(handler));
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<Revision>)>(initiation,
                                                                                                   asio::use_awaitable);
}

Awaitable<Result<Revision>> SqliteStore::commit(Transaction transaction) {
    NETT_CO_TRY(check_transaction(transaction));
    const auto began = std::chrono::steady_clock::now();
    const auto seconds = commit_seconds_;  // the answer may come after the store has been closed
    auto committed = co_await submit(std::move(transaction));
    if (seconds) {
        seconds->observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    }
    co_return committed;
}

Result<ReplicaState> SqliteStore::replica_state() const {
    return readers_->with([&](ReadConnection& reader) -> Result<ReplicaState> { return reader.replica_state(); });
}

Result<std::vector<IndexEntry>> SqliteStore::indexes_of(std::string_view kind, std::string_view key) const {
    return readers_->with(
        [&](ReadConnection& reader) -> Result<std::vector<IndexEntry>> { return reader.indexes_of(kind, key); });
}

Result<std::vector<ReplicaPut>> SqliteStore::shared_records(std::string_view kind, std::string_view key,
                                                            std::size_t limit) const {
    return readers_->with([&](ReadConnection& reader) -> Result<std::vector<ReplicaPut>> {
        return reader.shared_records(kind, key, limit);
    });
}

Awaitable<Result<Revision>> SqliteStore::follow(std::vector<ReplicaRevision> revisions, Revision complete_to) {
    StoreTask task = [revisions = std::move(revisions), complete_to](ReplicaTables& tables) {
        return tables.follow(revisions, complete_to);
    };
    co_return co_await submit(std::move(task));
}

Awaitable<Result<Revision>> SqliteStore::stage(std::vector<ReplicaPut> page, std::uint64_t cluster, bool first) {
    StoreTask task = [page = std::move(page), cluster, first](ReplicaTables& tables) {
        return tables.stage(page, cluster, first);
    };
    co_return co_await submit(std::move(task));
}

Awaitable<Result<Revision>> SqliteStore::adopt(std::uint64_t cluster, Revision revision) {
    StoreTask task = [cluster, revision](ReplicaTables& tables) { return tables.adopt(cluster, revision); };
    auto adopted = co_await submit(std::move(task));
    if (!adopted) co_return adopted;
    // A part at a time: the next one is made when the loop has told the one before.
    Revision after = 0;
    do {
        StoreTask telling = [after, revision](ReplicaTables& tables) { return tables.tell(after, revision); };
        auto told = co_await submit(std::move(telling));
        if (!told) co_return told;
        after = *told;
    } while (after != 0);
    co_return adopted;
}

Awaitable<Result<Revision>> SqliteStore::leave_cluster() {
    StoreTask task = [](ReplicaTables& tables) { return tables.leave(); };
    co_return co_await submit(std::move(task));
}

Subscription SqliteStore::watch(std::string kind, std::function<void(const Change&)> observer) {
    return watchers_->subscribe(std::move(kind), revision(), std::move(observer));
}

}  // namespace nett
