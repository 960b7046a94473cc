// The state file: one SQLite database (WAL, synchronous=FULL) shared by all plugins, owned by the agent.
//
// State is records: (kind, key) → JSON text, each with the revision of its last change. Every change goes through
// commit(), which gives the whole transaction the next revision; watchers, replication and caches follow revisions. The
// shape is that of etcd's key space on purpose (compare-and-swap, revisions, watch), so that several agents can share
// state later. An acknowledged commit is on disk. Reads never leave the process.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/subscription.hpp"

namespace nett {

using Revision = std::uint64_t;

// Kinds in use: agent/sdk/model.hpp, and each plugin's own.
struct Record {
    std::string kind;
    std::string key;
    std::string value;      // JSON text
    Revision revision = 0;  // of its last change
};

// An index entry: finds records of a kind by a value other than their key ("uuid", "mac"). Unique within (kind, index):
// two records claiming one value is kAlreadyExists at commit, naming both.
struct IndexEntry {
    std::string index;
    std::string value;
};

// All or nothing.
struct Transaction {
    struct Compare {
        std::string kind;
        std::string key;
        Revision revision = 0;  // 0: the record must not exist
    };
    struct Put {
        std::string kind;
        std::string key;
        std::string value;
        std::vector<IndexEntry> indexes = {};  // replaces the record's index entries
    };
    struct Delete {
        std::string kind;
        std::string key;
    };

    std::vector<Compare> compares;
    std::vector<Put> puts;
    std::vector<Delete> deletes;
    std::string actor;   // who, for the audit log: "unix:root", "plugin:metadata"
    std::string reason;  // why, in a few words
};

// One record's part of a committed transaction.
struct Change {
    Revision revision = 0;
    std::string kind;
    std::string key;
    std::optional<std::string> value;  // nullopt: deleted
    std::string actor;
    std::string reason;
};

class Store {
public:
    virtual ~Store() = default;

    // Reads: synchronous, from any thread, consistent with the last acknowledged commit. kDataLoss if SQLite says so.
    virtual Result<std::optional<Record>> get(std::string_view kind, std::string_view key) const = 0;
    virtual Result<std::optional<Record>> find(std::string_view kind, std::string_view index,
                                               std::string_view value) const = 0;
    // In key order, after `after`, at most `limit`.
    virtual Result<std::vector<Record>> list(std::string_view kind, std::string_view after = "",
                                             std::size_t limit = SIZE_MAX) const = 0;
    // The same over an index: the records of a kind whose value in `index` begins with `prefix`, in order of that
    // value, after the value `after`, at most `limit`. For grouping indexes (agent/sdk/model.hpp).
    virtual Result<std::vector<Record>> scan(std::string_view kind, std::string_view index, std::string_view prefix,
                                             std::string_view after = "", std::size_t limit = SIZE_MAX) const = 0;
    // How many scan() would give. Reads only the index.
    virtual Result<std::uint64_t> count(std::string_view kind, std::string_view index,
                                        std::string_view prefix) const = 0;
    // Changes after `since`, oldest first, at most `limit`; kept for kChangeLogLength changes (agent/core/store).
    virtual Result<std::vector<Change>> changes(Revision since, std::size_t limit) const = 0;
    virtual Revision revision() const = 0;

    // Writes on the store's own worker; resumes the caller on its executor once the change is durable. kAborted: a
    // compare failed, read again and retry. Concurrent commits share one fsync.
    virtual Awaitable<Result<Revision>> commit(Transaction transaction) = 0;

    // Called on the loop thread for each change of `kind` (empty: of every kind), in revision order, after it is
    // durable.
    [[nodiscard]] virtual Subscription watch(std::string kind, std::function<void(const Change&)> observer) = 0;
};

// Read-modify-write with retry: reads (kind, key), lets `change` edit the value, and commits under a compare; again on
// kAborted, at most kMaxUpdateAttempts times. `change` gets the record (nullopt if absent) and returns the Put, or an
// error that ends the update, or nullopt when nothing is to be written.
inline constexpr int kMaxUpdateAttempts = 16;  // more losers in a row than two cores can produce
using RecordEdit = std::function<Result<std::optional<Transaction::Put>>(const std::optional<Record>&)>;
Awaitable<Result<Revision>> update_record(Store& store, std::string kind, std::string key, std::string actor,
                                          std::string reason, RecordEdit change);

}  // namespace nett
