// This server among the others: says every second, under a lease in etcd, that it lives and how fresh its copy is, and
// reads what the others say. The same transaction tells whether etcd has a quorum and where the state's head is.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/replication/context.hpp"
#include "agent/replication/follower.hpp"
#include "agent/replication/rules.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"

namespace nett::replication {

// Loop thread only, but for records(). stop() must have ended before it is destroyed.
class Presence {
public:
    Presence(const Context& context, Follower& follower, HealthRegistry& health, EventBus& events,
             std::chrono::seconds max_lag);

    void start();
    // Takes the server's record away, so that others need not wait for its lease.
    Awaitable<void> stop();

    // Why nothing can be stored now; nullopt: nothing is known to be in the way.
    std::optional<Error> obstacle() const;
    // A write found etcd out of reach: look now.
    void doubt();

    // What the next record says of this server's artifacts.
    void announce(ArtifactState artifacts) { self_.artifacts = std::move(artifacts); }

    Standing standing() const;
    bool etcd_answers() const { return failures_ == 0 && last_answer_ != SteadyTime{}; }
    const std::string& trouble() const { return trouble_; }
    Revision head() const { return head_; }
    const ServerState& self() const { return self_; }
    const std::vector<ServerState>& others() const { return others_; }
    // As records of kServerKind, this server's own among them. Any thread.
    std::vector<Record> records() const;

private:
    Awaitable<void> run();
    Awaitable<Result<void>> beat();
    Awaitable<Result<void>> renew_lease();
    Awaitable<Result<void>> take_name();
    void take_answer(const EtcdTxnAnswer& answer, SteadyTime asked);
    void look_at_age(SteadyTime asked, Revision head);
    void publish_records(const std::vector<EtcdKeyValue>& servers);
    std::optional<std::chrono::milliseconds> age() const;
    void report();

    const Context& c_;
    Follower& follower_;
    HealthRegistry& health_;
    const std::chrono::seconds max_lag_;
    Logger log_{"replication"};
    ServerState self_;
    std::vector<ServerState> others_;
    std::int64_t lease_ = 0;
    SteadyTime lease_granted_{};
    Revision own_record_ = 0;  // mod revision of this server's record
    Revision head_ = 0;        // of the state, when etcd last answered
    SteadyTime last_answer_{};
    std::optional<SteadyTime> fresh_as_of_;                   // the copy had everything that etcd had then
    std::optional<std::pair<SteadyTime, Revision>> awaited_;  // an answer that the copy has not reached
    int failures_ = 0;                                        // in a row
    SteadyTime counted_{};                                    // the last of them
    std::string trouble_;
    Subscription announcements_;
    Signal pause_;
    Signal ended_;
    bool running_ = false;
    bool stopping_ = false;

    mutable std::mutex mutex_;  // guards records_
    std::vector<Record> records_;
};

}  // namespace nett::replication
