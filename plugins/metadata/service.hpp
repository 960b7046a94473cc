// From a request to an answer: tenant, machine, decision, bytes. No sockets; tests call handle() directly.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/records.hpp"
#include "agent/sdk/secret.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/artifacts.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/log_limiter.hpp"
#include "plugins/metadata/machines.hpp"
#include "plugins/metadata/recent_boots.hpp"
#include "plugins/metadata/recorder.hpp"
#include "plugins/metadata/route.hpp"
#include "plugins/metadata/shared_value.hpp"
#include "plugins/metadata/squashfs.hpp"
#include "plugins/metadata/tenants.hpp"

namespace nett::metadata {

struct ServiceSettings {
    std::optional<Address6> server_address;  // in the scripts' URLs; none: the address that the client connected to
    std::string rescue_set;                  // what Maintenance boots; empty: the machine's own set, without its config
    std::string erase_set;                   // what Decommission boots; empty: nothing, such machines boot their disk
    std::chrono::milliseconds fetch_timeout{15000};
};

// What the service uses of the host. Everything outlives it.
struct ServiceEnvironment {
    Store& store;
    const SecretBox& secrets;
    EventBus& events;
    const Clock& clock;
};

// Any thread: all requests run concurrently on io threads. Everything it reads is local (store, directory, memory).
// Every 404 has the same bytes, whatever its reason: a tenant cannot tell a foreign machine from none.
class Service {
public:
    // Tenants, recorder and artifacts outlive the service.
    Service(ServiceEnvironment environment, const TenantCache& tenants, Recorder& recorder, Artifacts& artifacts);

    void set_settings(ServiceSettings settings);
    Awaitable<Response> handle(Request request, const Peer& peer, Conversation& conversation);

private:
    // A boot request, decided: what is served, and the machine as it is after that.
    struct BootAnswer {
        BootKind kind = BootKind::kDisk;
        std::string script;  // empty: boot the disk
        std::string set;
        Machine after;
        std::vector<Event> events;  // what changes, for the bus once it is durable
        bool changed = false;       // `after` differs in more than counters: durable before the answer
    };

    Awaitable<Response> boot(BootRoute route, Method method, const Peer& peer, std::string tenant,
                             Conversation& conversation);
    Result<BootAnswer> decide(const Machine& machine, const std::string& url_id, const Peer& peer) const;
    Result<std::shared_ptr<const ArtifactSet>> set_for(const Machine& machine, BootKind kind,
                                                       const ServiceSettings& settings) const;
    // Before deciding: what it would boot is verified.
    Awaitable<Result<void>> prepare(const Machine& machine);
    // Decides again on the record as it is now, and makes the new state durable.
    Awaitable<Result<void>> commit_boot(std::string key, std::string url_id, const Peer& peer, BootAnswer& answer);
    // Log and events of a script that is served.
    void report_boot(const FoundMachine& found, const BootAnswer& answer, const Peer& peer) const;
    Response refuse_boot(const FoundMachine& found, const Peer& peer, Method method, const Error& error);

    Response config(const ConfigRoute& route, const Request& request, const Peer& peer, const std::string& tenant);
    Result<Response> config_part(const FoundMachine& found, ConfigPart part);
    Awaitable<Response> artifact(ArtifactRoute route, Request request, const Peer& peer, std::string tenant,
                                 std::string set_of_conversation);
    Result<ArtifactFile> find_artifact(const ArtifactRoute& route, const Peer& peer, const std::string& tenant,
                                       const std::string& set_of_conversation) const;
    // The set that a flat name is of: the asked machine's, the conversation's, the source's last one, the only one.
    Result<std::string> flat_set(const ArtifactRoute& route, const Peer& peer, const std::string& tenant,
                                 const std::string& set_of_conversation) const;
    Response failure(const Error& error, std::string_view doing, Outcome outcome);

    const ServiceEnvironment host_;
    const TenantCache& tenants_;
    Recorder& recorder_;
    Artifacts& artifacts_;
    ConfigImageCache images_;
    RecentBoots recent_boots_;
    SharedValue<ServiceSettings> settings_{std::make_shared<const ServiceSettings>()};
    Logger log_{"metadata"};
    LogLimiter tenant_log_;
    LogLimiter refusal_log_;
    LogLimiter failure_log_;
};

}  // namespace nett::metadata
