// What stands where in etcd, and the texts of the values. Pure. docs/replication.md has the table.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/store/replica.hpp"
#include "agent/replication/etcd.hpp"

namespace nett::replication {

// The format of keys and values below a prefix; a server joins only what it can write.
inline constexpr int kFormat = 1;

// Which of the state's keys a key is.
struct StateKey {
    enum class Sort { kRecord, kIndex, kLast, kOther };
    Sort sort = Sort::kOther;
    std::string kind;  // kRecord
    std::string key;
};

// Keys below a prefix like "/nett".
class Layout {
public:
    explicit Layout(std::string prefix) : prefix_(std::move(prefix)) {}

    std::string meta() const { return prefix_ + "/meta"; }
    std::string last() const { return prefix_ + "/state/last"; }
    std::string record(std::string_view kind, std::string_view key) const;
    std::string index(std::string_view kind, const IndexEntry& entry) const;
    std::string server(std::string_view name) const;
    // Everything that the watch follows: records, index values, the last transaction.
    EtcdRange state() const { return range_of_prefix(prefix_ + "/state/"); }
    EtcdRange records() const { return range_of_prefix(prefix_ + "/state/record/"); }
    EtcdRange servers() const { return range_of_prefix(prefix_ + "/server/"); }

    StateKey parse(std::string_view key) const;
    // "gw-1" of "/nett/server/gw-1".
    std::string server_name(std::string_view key) const;

private:
    std::string prefix_;
};

// Whether an index value can have one owner only, so that it needs a key of its own: a grouping index contains its
// record's key.
bool is_claim(const IndexEntry& entry, std::string_view key);

// A record's value in etcd: its index entries and, byte for byte, its text.
std::string encode_record(std::string_view value, const std::vector<IndexEntry>& indexes);
struct RecordText {
    std::string value;
    std::vector<IndexEntry> indexes;
};
Result<RecordText> decode_record_text(std::string_view text);

// Who did the transaction, and its id: the server that waits for it knows it again in the watch.
struct Stamp {
    std::string id;
    std::string server;
    std::string actor;
    std::string reason;
};
std::string encode(const Stamp& stamp);
Result<Stamp> decode_stamp(std::string_view text);

// The cluster: made once, by the first server.
struct Meta {
    int format = kFormat;
    std::uint64_t cluster = 0;  // random, not 0
    bool importing = false;     // somebody moves its state in: nobody joins yet
    std::string proof;          // kProofText, sealed with the servers' common key
};
inline constexpr std::string_view kProofText = "nett";
inline constexpr std::string_view kProofContext = "replication/proof";
std::string encode(const Meta& meta);
Result<Meta> decode_meta(std::string_view text);

// What a server says of the files of artifact sets.
struct ArtifactState {
    std::string endpoint;              // where others fetch: its management API; empty: nowhere
    std::int64_t missing_files = -1;   // 0: complete; -1: not known
    std::vector<std::string> missing;  // the first of them: the beginnings of their digests
};

// What a server says of itself, anew every second under a lease.
struct ServerState {
    std::string name;
    std::string instance;  // 16 hex digits of its file: two hosts of one name are told apart
    std::string version;
    Revision revision = 0;
    std::int64_t age_ms = 0;  // of its copy
    bool announcing = false;  // the anycast address
    ArtifactState artifacts;  // an older version says nothing
};
std::string encode(const ServerState& state);
Result<ServerState> decode_server(std::string_view text);

}  // namespace nett::replication
