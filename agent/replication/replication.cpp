#include "agent/replication/replication.hpp"

#include <boost/json.hpp>

#include "agent/replication/artifact_replicator.hpp"
#include "agent/replication/follower.hpp"
#include "agent/replication/presence.hpp"
#include "agent/replication/replicated_store.hpp"
#include "agent/sdk/strings.hpp"

namespace nett::replication {

namespace json = boost::json;

namespace {

json::object to_json(const ServerState& server, bool self) {
    return {{"name", server.name},
            {"self", self},
            {"revision", server.revision},
            {"age_ms", server.age_ms},
            {"announcing", server.announcing},
            {"version", server.version},
            {"artifacts_missing", server.artifacts.missing_files}};
}

}  // namespace

// In the order of construction; destroyed in reverse.
struct Replication::Parts {
    Parts(const Dependencies& d, Settings given, std::unique_ptr<Etcd> client, std::string instance)
        : settings(std::move(given)),
          etcd(std::move(client)),
          context{d.loop,   d.clock, d.file, d.secrets, *etcd, Layout(settings.prefix), d.hostname, std::move(instance),
                  d.version},
          follower(context),
          presence(context, follower, d.health, d.events, settings.max_lag),
          store(context, follower, presence),
          health(d.health),
          events(d.events) {}

    Settings settings;
    std::unique_ptr<Etcd> etcd;
    Context context;
    Follower follower;
    Presence presence;
    ReplicatedStore store;
    HealthRegistry& health;
    EventBus& events;
    std::unique_ptr<ArtifactReplicator> artifacts;
};

Replication::Replication(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Replication::~Replication() = default;

Result<std::unique_ptr<Replication>> Replication::open(Dependencies dependencies, Settings settings,
                                                       std::unique_ptr<Etcd> etcd) {
    const auto state = dependencies.file.replica_state();
    if (!state) return fail(Error(state.error()));
    if (!etcd) etcd = make_etcd_client(dependencies.loop, settings.etcd);
    auto instance = fmt::format("{:016x}", state->instance);
    auto parts = std::make_unique<Parts>(dependencies, std::move(settings), std::move(etcd), std::move(instance));
    return std::unique_ptr<Replication>(new Replication(std::move(parts)));
}

Store& Replication::store() {
    return parts_->store;
}

ArtifactPeers& Replication::share_artifacts(const ArtifactFiles& files, std::unique_ptr<ArtifactDownloader> downloader,
                                            Metrics& metrics) {
    auto& p = *parts_;
    ArtifactParts parts{p.store, files, std::move(downloader), p.health, p.events, metrics};
    p.artifacts = std::make_unique<ArtifactReplicator>(p.context, p.presence, std::move(parts));
    return *p.artifacts;
}

void Replication::set_artifact_endpoint(std::string endpoint) {
    if (parts_->artifacts) parts_->artifacts->set_endpoint(std::move(endpoint));
}

void Replication::start() {
    parts_->follower.start();
    parts_->presence.start();
    if (parts_->artifacts) parts_->artifacts->start();
}

Awaitable<void> Replication::stop() {
    if (parts_->artifacts) co_await parts_->artifacts->stop();
    co_await parts_->presence.stop();
    parts_->etcd->stop();
    co_await parts_->follower.stop();
}

json::object Replication::status() const {
    const auto& p = *parts_;
    const auto standing = p.presence.standing();
    std::string error;
    if (standing.refused) {
        error = standing.refused->message;
    } else {
        error = p.presence.trouble().empty() ? p.follower.trouble() : p.presence.trouble();
    }
    json::array members;
    for (const auto& member : p.settings.etcd.endpoints) members.emplace_back("https://" + member);
    json::array servers{to_json(p.presence.self(), true)};
    for (const auto& other : p.presence.others()) servers.push_back(to_json(other, false));
    json::object out{{"role", standing.refused ? "outside" : "member"},
                     {"name", p.context.name},
                     {"prefix", p.settings.prefix},
                     {"doing", p.follower.doing()},
                     {"revision", p.follower.applied()},
                     {"head", p.presence.head()},
                     {"age_ms", standing.age ? json::value(standing.age->count()) : json::value(nullptr)},
                     {"max_lag_s", p.settings.max_lag.count()},
                     {"etcd_answers", standing.etcd_answers},
                     {"member", "https://" + p.etcd->endpoint()},
                     {"members", std::move(members)},
                     {"snapshots", p.follower.snapshots()},
                     {"error", error}};
    out["servers"] = std::move(servers);
    if (p.artifacts) out["artifacts"] = p.artifacts->status();
    return out;
}

Awaitable<Result<std::uint64_t>> Replication::migrate_in() {
    return parts_->follower.migrate_in();
}

}  // namespace nett::replication
