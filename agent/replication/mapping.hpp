// A transaction of the store as one of etcd, and etcd's events as transactions of the store. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/store/replica.hpp"
#include "agent/replication/layout.hpp"
#include "agent/sdk/servers.hpp"

namespace nett::replication {

// What the local copy says; a transaction is made from it and holds only if it is not behind.
class LocalCopy {
public:
    struct Known {
        Revision revision = 0;  // 0: not there
        std::vector<IndexEntry> indexes;
    };
    virtual ~LocalCopy() = default;
    virtual Result<Known> record(std::string_view kind, std::string_view key) const = 0;
    // Key of the record that has the index value.
    virtual Result<std::optional<std::string>> owner(std::string_view kind, const IndexEntry& entry) const = 0;
};

struct Mapped {
    EtcdTxn txn;
    // One a compare: what it is about, and whether the writer asked for it. The others are implied by what the
    // transaction was made from.
    struct About {
        std::string kind;
        std::string key;
        bool asked = false;
    };
    std::vector<About> about;
    bool changes() const { return !txn.puts.empty() || !txn.deletes.empty(); }
};

// kAlreadyExists: an index value has another owner. kInvalidArgument: two records of the transaction claim one value.
Result<Mapped> map_transaction(const Layout& layout, const Transaction& transaction, const LocalCopy& copy,
                               const Stamp& stamp);

// Puts events together again: one revision of etcd is one transaction of the store.
class Assembler {
public:
    explicit Assembler(const Layout& layout) : layout_(layout) {}

    struct Whole {
        std::vector<ReplicaRevision> revisions;             // complete ones, oldest first
        std::vector<std::pair<std::string, Revision>> ids;  // of their stamps
        Revision complete_to = 0;
        std::vector<std::string> damaged;  // keys whose value is not readable
    };
    Whole add(const EtcdEvents& events);

private:
    void add_event(const EtcdEvent& event, Whole& whole);

    const Layout& layout_;
    std::map<Revision, ReplicaRevision> open_;
    std::map<Revision, std::string> ids_;
};

}  // namespace nett::replication
