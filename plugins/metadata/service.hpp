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
#include "plugins/metadata/boot_metrics.hpp"
#include "plugins/metadata/boot_plan.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/known_boots.hpp"
#include "plugins/metadata/late_wipes.hpp"
#include "plugins/metadata/log_limiter.hpp"
#include "plugins/metadata/machines.hpp"
#include "plugins/metadata/port_table.hpp"
#include "plugins/metadata/recent_values.hpp"
#include "plugins/metadata/recorder.hpp"
#include "plugins/metadata/route.hpp"
#include "plugins/metadata/service_settings.hpp"
#include "plugins/metadata/shared_value.hpp"
#include "plugins/metadata/squashfs.hpp"
#include "plugins/metadata/tenants.hpp"

namespace nett::metadata {

// What the service uses of the host. Everything outlives it.
struct ServiceEnvironment {
    Store& store;
    const SecretBox& secrets;
    EventBus& events;
    const Clock& clock;
    LateWipes* late_wipes = nullptr;  // a test may do without
    BootMetrics* boots = nullptr;     // counts boot requests; a test may do without
};

// Any thread: all requests run concurrently on io threads. Everything it reads is local (store, directory, memory).
// Every 404 has the same bytes, whatever its reason: a tenant cannot tell a foreign machine from none.
class Service {
public:
    // Tenants, ports, recorder and artifacts outlive the service.
    Service(ServiceEnvironment environment, const TenantCache& tenants, const PortTable& ports, Recorder& recorder,
            Artifacts& artifacts);

    // Before the first request. Reads the tokens that are good still.
    Result<void> start();
    void set_settings(ServiceSettings settings);
    // Answers of a boot carry its id, from the script on: those on the same connection.
    Awaitable<Response> handle(Request request, const Peer& peer, Conversation& conversation);
    // Of the token listener, whose clients show no certificate: a token's config and nothing else.
    Awaitable<Response> handle_token(Request request, const Peer& peer);

private:
    using Found = Result<std::optional<FoundMachine>>;

    Awaitable<Response> route_request(Request request, const Peer& peer, Conversation& conversation);
    // The tenant of the peer's certificate, or why it has none.
    Result<std::string> tenant_of(const Peer& peer, Conversation& conversation) const;
    // What was decided on lately and holds still; empty: to be decided.
    std::optional<Response> known_answer(const Request& request, const Peer& peer, Conversation& conversation);
    BootBasis basis() const;
    Awaitable<Response> boot(BootRoute route, Request request, const Peer& peer, std::string tenant,
                             Conversation& conversation);
    // The machine that asks; one that a rule of its tenant accepts is registered first.
    Awaitable<Found> find_or_enrol(AskedId asked, Method method, const Peer& peer, std::string tenant);
    // The plan, with all of it durable that has to be; decided again when the machine was changed meanwhile.
    Awaitable<Result<BootPlan>> decide(FoundMachine& found, Method method, const Peer& peer, std::string boot_id);
    // What it would boot is verified, where that was not done yet.
    Awaitable<Result<void>> prepare(const Machine& machine);
    // Log and events of what a boot request came to.
    void report_boot(const FoundMachine& found, const BootPlan& plan, const Peer& peer, const std::string& boot_id);
    Response refuse_boot(const FoundMachine& found, const Peer& peer, Method method, const Error& error,
                         const std::string& boot_id);
    // The port that is configured for the source's prefix, else the one that switches know; or nothing.
    std::string port_of(const Address6& source) const;
    bool is_expected(const Machine& machine, const Address6& source) const;

    Response config(const ConfigRoute& route, const Request& request, const Peer& peer, const std::string& tenant,
                    const std::string& boot_id);
    Result<Response> config_part(const FoundMachine& found, const Profile& profile, ConfigPart part);
    Result<std::string> config_text(const std::string& key, const Machine& machine) const;
    void report_config(const Machine& machine, ConfigDelivery delivery, const Peer& peer, const std::string& boot_id);
    void report_artifact(const ArtifactRoute& route, const Request& request, const Peer& peer,
                         Conversation& conversation);
    // The machine whose token this is, if it may fetch its config now from there, and the boot it is of; nullopt: 404,
    // whatever the reason.
    struct Redeemed {
        Machine machine;
        std::string boot_id;
    };
    Awaitable<Result<std::optional<Redeemed>>> redeem(ConfigRoute route, Method method, const Peer& peer);
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
    const PortTable& ports_;
    Recorder& recorder_;
    Artifacts& artifacts_;
    ConfigImageCache images_;
    KnownBoots known_boots_;
    RecentValues recent_sets_;   // by tenant and source: the set of the last script
    RecentValues last_tokens_;   // by machine: the record key of the token of its last script
    RecentValues last_reports_;  // by machine: that its last boot was logged
    SharedValue<ServiceSettings> settings_{std::make_shared<const ServiceSettings>()};
    Logger log_{"metadata"};
    LogLimiter tenant_log_;
    LogLimiter enrol_log_;
    LogLimiter refusal_log_;
    LogLimiter failure_log_;
};

}  // namespace nett::metadata
