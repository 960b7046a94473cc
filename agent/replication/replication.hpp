// A state that several servers share through etcd, as the agent joins it to its other rooms. docs/replication.md.
#pragma once

#include <memory>
#include <vector>

#include "agent/core/inventory/artifact_transfer.hpp"
#include "agent/replication/context.hpp"
#include "agent/sdk/artifact_peers.hpp"
#include "agent/sdk/command.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/metrics.hpp"

namespace nett {
class ArtifactFiles;
}

namespace nett::replication {

struct Dependencies {
    asio::any_io_executor loop;
    const Clock& clock;
    SqliteStore& file;
    const SecretBox& secrets;
    HealthRegistry& health;
    EventBus& events;
    std::string hostname;
    std::string version;
};

// Loop thread only, but for the store. stop() must have ended before it is destroyed; the loop and what it depends on
// outlive it.
class Replication {
public:
    // `etcd` is asked for only by tests; otherwise it is made from the settings. Errors: the state file's.
    static Result<std::unique_ptr<Replication>> open(Dependencies dependencies, Settings settings,
                                                     std::unique_ptr<Etcd> etcd = nullptr);
    ~Replication();

    Store& store();
    // Has missing files of artifact sets fetched from the other servers. Once, before start(); what is borrowed
    // outlives this.
    ArtifactPeers& share_artifacts(const ArtifactFiles& files, std::unique_ptr<ArtifactDownloader> downloader,
                                   Metrics& metrics);
    // Where the other servers fetch them from this one, "[2001:db8::1]:8443"; empty: nowhere.
    void set_artifact_endpoint(std::string endpoint);
    void start();
    // Whatever is under way ends; the servers are told that this one is gone.
    Awaitable<void> stop();

    // {role, name, cluster_prefix, doing, revision, head, age_ms, max_lag_s, member, members, error, servers: […],
    // artifacts}
    boost::json::object status() const;
    // Answers how many records were moved into etcd.
    Awaitable<Result<std::uint64_t>> migrate_in();

private:
    struct Parts;
    explicit Replication(std::unique_ptr<Parts> parts);

    std::unique_ptr<Parts> parts_;
};

// `show replication` and `state migrate in|out`. `replication` is nullptr when the state is not shared.
std::vector<OpCommand> replication_commands(Replication* replication, SqliteStore& file);

}  // namespace nett::replication
