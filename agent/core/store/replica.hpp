// A state file that is a copy: of the records that several servers share. They are written under the revisions of where
// they were committed; what is this host's own goes on with revisions of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/store.hpp"

namespace nett {

// Kinds that never leave their host: ports of ra, the anycast announcement, the probe that the disk can be written,
// what waits for a webhook.
bool is_local_kind(std::string_view kind);
// The condition of a query for shared kinds: "kind NOT IN (…)".
std::string shared_kinds_sql();

struct ReplicaPut {
    std::string kind;
    std::string key;
    std::string value;
    Revision revision = 0;
    std::vector<IndexEntry> indexes;
};

// One committed transaction of the shared state; its compares have been decided.
struct ReplicaRevision {
    Revision revision = 0;
    Transaction transaction;
};

// What a state file is.
struct ReplicaState {
    std::uint64_t cluster = 0;   // whose copy; 0: nobody's, it stands alone
    std::uint64_t instance = 0;  // random, of the file; tells servers apart
    Revision revision = 0;
    std::uint64_t shared_records = 0;
};

}  // namespace nett
