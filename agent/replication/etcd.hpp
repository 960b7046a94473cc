// etcd as the replication needs it: transactions, pages of a range, a watch, leases. Implementations: the gRPC client
// (make_etcd_client), and one in memory for unit tests. Keys and values are bytes; revisions are etcd's.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"

namespace nett::replication {

struct EtcdKeyValue {
    std::string key;
    std::string value;
    Revision mod_revision = 0;
};

// The keys from `begin` to before `end`; an empty end: `begin` alone.
struct EtcdRange {
    std::string begin;
    std::string end;
};
// All keys that begin with `prefix`.
EtcdRange range_of_prefix(std::string prefix);

struct EtcdTxn {
    struct Compare {
        std::string key;
        Revision mod_revision = 0;  // 0: the key is not there
    };
    struct Put {
        std::string key;
        std::string value;
        std::int64_t lease = 0;  // 0: none
    };
    std::vector<Compare> compares;
    std::vector<Put> puts;
    std::vector<EtcdRange> deletes;
    std::vector<EtcdRange> reads;  // answered in any case, after the changes
    // Operations as etcd counts them against --max-txn-ops.
    std::size_t operations() const;
};

struct EtcdTxnAnswer {
    bool succeeded = false;
    Revision revision = 0;                         // of the store after it
    std::vector<Revision> actual;                  // not succeeded: mod revision now, one a compare
    std::vector<std::vector<EtcdKeyValue>> reads;  // one an EtcdTxn::reads
};

struct EtcdPage {
    std::vector<EtcdKeyValue> entries;
    bool more = false;
    Revision revision = 0;  // of the store when it was read
};

struct EtcdEvent {
    bool deleted = false;
    EtcdKeyValue entry;  // deleted: without a value; mod_revision is that of the change
};

struct EtcdEvents {
    std::vector<EtcdEvent> events;  // in revision order
    // Nothing up to this revision will come any more; 0: not known.
    Revision complete_to = 0;
};

// One stream of events. Loop thread only; next() must not be called while one is under way.
class EtcdWatch {
public:
    virtual ~EtcdWatch() = default;
    // kDataLoss: compacted away, take a snapshot. Other errors: the stream has ended, begin another.
    virtual Awaitable<Result<EtcdEvents>> next() = 0;
    // Ends next().
    virtual void cancel() = 0;
};

// Loop thread only. Errors of calls: kUnavailable (no member answered, or it has no leader; what was asked may have
// been done), kDeadlineExceeded (the same), kInvalidArgument (too large), kResourceExhausted (etcd is full),
// kPermissionDenied, kFailedPrecondition (the certificate files).
class Etcd {
public:
    virtual ~Etcd() = default;
    virtual Awaitable<Result<EtcdTxnAnswer>> txn(EtcdTxn txn) = 0;
    // At `revision`, 0: the newest (linearizable). At most `limit` entries. kDataLoss: that revision was compacted.
    virtual Awaitable<Result<EtcdPage>> range(EtcdRange range, Revision revision, std::size_t limit) = 0;
    // Events of the range from `start` on.
    virtual std::unique_ptr<EtcdWatch> watch(EtcdRange range, Revision start) = 0;
    virtual Awaitable<Result<std::int64_t>> grant_lease(std::chrono::seconds time_to_live) = 0;
    virtual Awaitable<Result<void>> revoke_lease(std::int64_t lease) = 0;
    // The member in use, for people.
    virtual std::string endpoint() const = 0;
    // Goes on with the next member: this one answers, but not well enough.
    virtual void rotate() = 0;
    // Ends all calls; new ones fail.
    virtual void stop() = 0;
};

struct EtcdSettings {
    std::vector<std::string> endpoints;  // "[2001:db8::1]:2379"
    std::string certificate;             // PEM files
    std::string private_key;
    std::string server_ca;
    std::string server_name;  // in the members' certificates; empty: their addresses
};

std::unique_ptr<Etcd> make_etcd_client(asio::any_io_executor loop, EtcdSettings settings);

}  // namespace nett::replication
