// Reading connections, lent to one thread at a time.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/core/store/connection.hpp"
#include "agent/core/store/replica.hpp"

namespace nett {

// The loop, the io threads and a spare; more readers than that wait for each other.
inline constexpr std::size_t kReadConnections = 4;

// Index entries of a kind whose value begins with `prefix`.
struct IndexRange {
    std::string_view kind;
    std::string_view index;
    std::string_view prefix;
};

// One connection with its prepared statements. Functions throw SQLite::Exception.
class ReadConnection {
public:
    explicit ReadConnection(const std::string& path);

    std::optional<Record> get(std::string_view kind, std::string_view key);
    std::optional<Record> find(std::string_view kind, std::string_view index, std::string_view value);
    std::vector<Record> list(std::string_view kind, std::string_view after, std::size_t limit);
    std::vector<Record> scan(const IndexRange& range, std::string_view after, std::size_t limit);
    std::uint64_t count(const IndexRange& range);
    std::vector<Change> changes(Revision since, std::size_t limit);
    std::uint64_t meta(std::string_view name);
    ReplicaState replica_state();
    std::vector<IndexEntry> indexes_of(std::string_view kind, std::string_view key);
    std::vector<ReplicaPut> shared_records(std::string_view kind, std::string_view key, std::size_t limit);

private:
    std::unique_ptr<SQLite::Database> database_;
    SQLite::Statement get_;
    SQLite::Statement find_;
    SQLite::Statement list_;
    SQLite::Statement scan_;
    SQLite::Statement count_;
    SQLite::Statement changes_;
    SQLite::Statement meta_;
    SQLite::Statement indexes_of_;
};

// Thread-safe.
class ReaderPool {
public:
    // Throws SQLite::Exception.
    explicit ReaderPool(std::string path);

    // Runs `body` with a connection of its own.
    template <typename Body>
    auto with(Body&& body) -> std::invoke_result_t<Body, ReadConnection&> {
        const Lease lease(*this);
        return guard_sqlite(path_, [&] { return body(*lease.connection); });
    }

private:
    struct Lease {
        explicit Lease(ReaderPool& p) : pool(p), connection(p.take()) {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() { pool.give_back(std::move(connection)); }
        ReaderPool& pool;
        std::unique_ptr<ReadConnection> connection;
    };

    std::unique_ptr<ReadConnection> take();
    void give_back(std::unique_ptr<ReadConnection> connection);

    std::string path_;
    std::mutex mutex_;
    std::condition_variable returned_;
    std::vector<std::unique_ptr<ReadConnection>> idle_;
};

}  // namespace nett
