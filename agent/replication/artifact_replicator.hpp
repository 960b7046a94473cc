// Brings the files of artifact sets that this server lacks from the servers that have them, says which are missing
// still, and lets them be served meanwhile. docs/replication.md, "Artifacts".
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/asio/thread_pool.hpp>
#include <boost/json/object.hpp>

#include "agent/replication/artifact_fetch.hpp"
#include "agent/replication/fetch_order.hpp"
#include "agent/replication/presence.hpp"
#include "agent/sdk/artifact_peers.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/store.hpp"
#include "agent/sdk/task_group.hpp"

namespace nett::replication {

// Files at once in the background, and with those that a client waits for.
inline constexpr std::size_t kFetchesAtOnce = 2;
inline constexpr std::size_t kFetchesWithWaiting = 4;
// Without a byte for this long nobody is kept waiting, and for kGivenUp the file counts as one that nobody has.
inline constexpr std::chrono::seconds kPatience{15};
inline constexpr std::chrono::seconds kGivenUp{60};  // longer than kLastFetchDelay, so that it does not flap

// References outlive the replicator.
struct ArtifactParts {
    Store& store;
    const ArtifactFiles& files;
    std::unique_ptr<ArtifactDownloader> downloader;
    HealthRegistry& health;
    EventBus& events;
    Metrics& metrics;
};

// Loop thread only, but for ArtifactPeers.
class ArtifactReplicator final : public ArtifactPeers {
public:
    ArtifactReplicator(const Context& context, Presence& presence, ArtifactParts parts);

    void start();
    // What is under way ends; what came is kept.
    Awaitable<void> stop();
    // Where the others fetch from this server; empty: nowhere.
    void set_endpoint(std::string endpoint);

    // {files, missing, complete, endpoint, fetched_bytes, fetching: [{file, sha256, size, received, from, error}]}
    boost::json::object status() const;

    bool have(const std::string& sha256) const override;
    std::shared_ptr<ArrivingFile> fetch(const std::string& sha256, std::uint64_t size) override;
    void interrupt() override;

private:
    // A file that is missing.
    struct Fetch {
        ArtifactFile file;
        std::string name;     // "set/file"
        bool wanted = false;  // a client waits, or what is here is damaged
        bool running = false;
        std::string from;     // the peer that is asked, or was last
        std::string trouble;  // of the last attempt
        FetchOrder order;
        SteadyTime not_before{};  // this server was in the way
        SteadyTime moved{};       // when there was a byte last, or hope of one
        std::uint64_t received = 0;
    };

    Awaitable<void> run();
    // Which files of the sets are not here.
    Awaitable<void> look();
    void take_peers();
    void take_wanted();
    Fetch& fetch_of(const ArtifactFile& file, const std::string& name);
    void start_fetches();
    Awaitable<void> bring(std::string sha256, ServerState peer);
    void note(Fetch& fetch, const ServerState& peer, const FetchResult& result);
    void give_up_stale();
    void report();
    void hurry();
    std::shared_ptr<ArrivingCopy> copy_of(const std::string& sha256, std::uint64_t size);
    // What waits for the copy ends with the reason; the next one begins anew.
    void drop_copy(const std::string& sha256, const Error& reason);

    const Context& c_;
    Presence& presence_;
    ArtifactParts parts_;
    Logger log_{"replication"};
    std::string endpoint_;
    std::map<std::string, std::pair<ArtifactFile, std::string>> known_;  // by digest: what the sets name, and its name
    std::map<std::string, Fetch> fetches_;                               // by digest: what is missing
    std::size_t running_ = 0;
    bool sets_changed_ = true;
    bool looked_ = false;
    bool hurry_ = false;
    bool stopping_ = false;
    SteadyTime look_at_{};
    Counter& fetched_bytes_;
    CounterFamily& attempts_;
    Gauge& missing_;
    Subscription watch_;
    Signal pause_;
    TaskGroup tasks_;

    mutable std::mutex mutex_;  // guards what follows
    std::vector<ServerState> peers_;
    std::map<std::string, std::shared_ptr<ArrivingCopy>> copies_;  // by digest
    std::map<std::string, SteadyTime> given_up_;                   // until when
    std::deque<ArtifactFile> wanted_;                              // for the loop

    asio::thread_pool disk_{kFetchesAtOnce};  // last: its threads end first
};

}  // namespace nett::replication
