// Follows the shared state into this server's file: joins the cluster, takes snapshots, watches.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/replication/context.hpp"
#include "agent/replication/mapping.hpp"
#include "agent/sdk/log.hpp"

namespace nett::replication {

// Loop thread only. stop() must have ended before it is destroyed.
class Follower {
public:
    explicit Follower(const Context& context);

    void start();
    Awaitable<void> stop();

    // Everything up to it is in the file, and the watchers have been told.
    Revision applied() const { return applied_; }
    // Why this server is not part of the cluster; nullopt: it is.
    const std::optional<Error>& refused() const { return refused_; }
    // What it does: "joining", "taking a snapshot", "following", "waiting".
    const std::string& doing() const { return doing_; }
    // Of the last attempt that failed; empty while it follows.
    const std::string& trouble() const { return trouble_; }
    std::uint64_t snapshots() const { return snapshots_; }

    // True when applied() reaches the revision in time.
    Awaitable<bool> wait_for(Revision revision, SteadyTime deadline);

    // Looks out for the transaction of that id, from before it is sent until forget().
    void expect(const std::string& id) { expected_[id] = 0; }
    void forget(const std::string& id) { expected_.erase(id); }
    // Its revision once it has been applied.
    std::optional<Revision> seen(const std::string& id) const;

    // The watch is silent though there is news: begins another, at the next member.
    void kick();
    // etcd answers again: do not wait any longer before trying.
    void hurry() { pause_.notify(); }

    // Moves the file's records into an empty cluster; then this server is part of it.
    Awaitable<Result<std::uint64_t>> migrate_in();

private:
    Awaitable<void> run();
    Awaitable<Result<void>> join();
    Awaitable<Result<void>> make_cluster();
    Awaitable<Result<void>> take_snapshot(std::uint64_t cluster);
    Awaitable<Result<void>> follow();
    Awaitable<Result<void>> apply(Assembler::Whole whole);
    Awaitable<Result<std::optional<EtcdKeyValue>>> read_meta(Revision& newest);
    Result<void> check_proof(const Meta& meta) const;
    Result<Meta> new_meta() const;
    Awaitable<Result<std::uint64_t>> upload(const Meta& meta, Revision guard);
    void advance(Revision revision);
    void tell_of_damage(const std::vector<std::string>& keys) const;

    struct Waiter {
        Signal signal;
        bool due = false;
    };

    const Context& c_;
    Logger log_{"replication"};
    Revision applied_ = 0;
    Revision stored_ = 0;  // what the file says; applied() may be ahead over revisions without a change
    std::optional<Error> refused_{Error{Code::kUnavailable, "etcd has not answered since the agent started", {}}};
    std::string doing_ = "joining";
    std::string trouble_;
    std::uint64_t snapshots_ = 0;
    std::multimap<Revision, Waiter*> waiters_;
    std::map<std::string, Revision> expected_;
    std::unique_ptr<EtcdWatch> watch_;
    Signal pause_;
    Signal ended_;
    bool busy_ = false;  // migrate_in() is at work
    bool running_ = false;
    bool stopping_ = false;
};

}  // namespace nett::replication
