#include "plugins/metadata/service.hpp"

#include <utility>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/boot_script.hpp"
#include "plugins/metadata/homelab_boot.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/ranges.hpp"

namespace nett::metadata {

namespace {

constexpr const char* kActor = "plugin:metadata";
constexpr std::uint16_t kHttpsPort = 443;

Response not_found(Outcome outcome) {
    return plain(404, outcome, "not found");
}

bool serves_config(const Machine& machine) {
    const auto kind = boot_decision(machine);
    return kind == BootKind::kInstall || kind == BootKind::kWipe;
}

std::string authority_of(const ServiceSettings& settings, const Peer& peer) {
    const auto address = settings.server_address.value_or(peer.local.address().to_v6());
    if (peer.local.port() == kHttpsPort) return fmt::format("[{}]", address.to_string());
    return fmt::format("[{}]:{}", address.to_string(), peer.local.port());
}

}  // namespace

Service::Service(ServiceEnvironment environment, const TenantCache& tenants, Recorder& recorder, Artifacts& artifacts)
    : host_(std::move(environment)),
      tenants_(tenants),
      recorder_(recorder),
      artifacts_(artifacts),
      images_(kSquashfsCacheBytes),
      recent_boots_(kMaxRecentBoots, kRecentBootAge) {}

void Service::set_settings(ServiceSettings settings) {
    settings_.store(std::make_shared<const ServiceSettings>(std::move(settings)));
}

Awaitable<Response> Service::handle(Request request, const Peer& peer, Conversation& conversation) {
    if (request.method == Method::kOther) co_return plain(405, Outcome::kBadRequest, "only GET and HEAD");
    auto route = parse_target(request.target);
    if (!route) {
        const auto outcome = route.error().code == Code::kInvalidArgument ? Outcome::kBadRequest : Outcome::kNotFound;
        if (outcome == Outcome::kNotFound) co_return not_found(outcome);
        co_return plain(400, outcome, "bad request");
    }
    auto tenant = peer.homelab ? Result<std::string>(peer.homelab->tenant) : tenants_.table()->match(peer.subject);
    if (!tenant) {
        if (const auto held = tenant_log_.admit(host_.clock.steady_now())) {
            const auto& names = peer.subject.common_names;
            log_.warning("refused a client certificate", {{"source", peer.source.to_string()},
                                                          {"common_name", names.empty() ? "" : names.front()},
                                                          {"error", tenant.error()},
                                                          {"suppressed", *held}});
        }
        co_return plain(403, Outcome::kNoTenant, "this certificate belongs to no tenant");
    }
    if (auto* asked = std::get_if<BootRoute>(&*route)) {
        BootRoute boot_route = std::move(*asked);
        co_return co_await boot(std::move(boot_route), request.method, peer, std::move(*tenant), conversation);
    }
    if (const auto* asked = std::get_if<ConfigRoute>(&*route)) co_return config(*asked, request, peer, *tenant);
    ArtifactRoute artifact_route = std::move(std::get<ArtifactRoute>(*route));
    co_return co_await artifact(std::move(artifact_route), std::move(request), peer, std::move(*tenant),
                                conversation.artifact_set);
}

Awaitable<Response> Service::boot(BootRoute route, Method method, const Peer& peer, std::string tenant,
                                  Conversation& conversation) {
    conversation.artifact_set.clear();
    auto found = find_machine(host_.store, tenant, route.asked);
    if (!found) co_return failure(found.error(), "looking up a machine", Outcome::kError);
    if (!*found) {
        const auto& id = route.asked.id.uuid ? route.asked.id.uuid : route.asked.id.mac;
        if (method == Method::kGet && id) recorder_.note_unknown(*id, tenant, peer.source.to_string());
        co_return not_found(Outcome::kUnknownMachine);
    }
    const auto& machine = (*found)->machine;
    if (!is_expected_source(machine, peer.source)) {
        const Error error{Code::kPermissionDenied, "asked from behind another port than it is bound to", {}};
        co_return refuse_boot(**found, peer, method, error);
    }
    const auto prepared = co_await prepare(machine);
    if (!prepared) co_return refuse_boot(**found, peer, method, prepared.error());
    auto answer = decide(machine, (*found)->url_id, peer);
    if (!answer) co_return refuse_boot(**found, peer, method, answer.error());
    if (method == Method::kGet && answer->changed) {
        auto committed = co_await commit_boot((*found)->key, (*found)->url_id, peer, *answer);
        if (!committed) co_return refuse_boot(**found, peer, method, committed.error());
    }
    if (method == Method::kGet && answer->kind != BootKind::kDisk) report_boot(**found, *answer, peer);
    if (method == Method::kGet) {
        BootRecord record{host_.clock.system_now(), peer.source.to_string(),
                          answer->kind == BootKind::kDisk ? "localboot" : "netboot"};
        recorder_.note_boot((*found)->key, std::move(record));
    }
    if (answer->kind == BootKind::kDisk) co_return not_found(Outcome::kLocalBoot);
    conversation.artifact_set = answer->set;
    recent_boots_.note(tenant + " " + peer.source.to_string(), answer->set, host_.clock.steady_now());
    Response response = plain(200, Outcome::kNetboot, "");
    response.body = std::move(answer->script);
    co_return response;
}

Awaitable<Result<void>> Service::prepare(const Machine& machine) {
    const auto kind = boot_decision(machine);
    if (kind == BootKind::kDisk) co_return Result<void>{};
    auto set = set_for(machine, kind, *settings_.load());
    if (!set) co_return fail(std::move(set.error()));
    co_return co_await artifacts_.prepare(std::move(*set));
}

Result<std::shared_ptr<const ArtifactSet>> Service::set_for(const Machine& machine, BootKind kind,
                                                            const ServiceSettings& settings) const {
    if (kind == BootKind::kErase && settings.erase_set.empty()) {
        return fail(Code::kFailedPrecondition,
                    "no erase set is configured; set \"erase-set NAME\" in \"plugin metadata\"");
    }
    std::string name = machine.artifact_set;
    if (kind == BootKind::kErase) name = settings.erase_set;
    if (kind == BootKind::kRescue && !settings.rescue_set.empty()) name = settings.rescue_set;
    if (name.empty()) return fail(Code::kFailedPrecondition, "the machine has no artifact set");
    return artifacts_.set(name);
}

Result<Service::BootAnswer> Service::decide(const Machine& machine, const std::string& url_id, const Peer& peer) const {
    const auto settings = settings_.load();
    BootAnswer answer;
    answer.kind = boot_decision(machine);
    answer.after = machine;
    if (answer.kind == BootKind::kDisk) return answer;

    auto set = set_for(machine, answer.kind, *settings);
    if (!set) return fail(std::move(set.error()));
    if (serves_config(machine) && machine.config_sha256.empty()) {
        return fail(Code::kFailedPrecondition, "no machine config is registered");
    }
    // Before anything is wiped: what it boots next must be here.
    NETT_TRY(artifacts_.check_bootable(**set));
    BootScriptInput input;
    input.authority = authority_of(*settings, peer);
    input.machine_id = url_id;
    input.set = **set;
    input.kernel_args = machine.kernel_args;
    input.kind = answer.kind;
    input.delivery = machine.delivery;
    input.fetch_timeout = settings->fetch_timeout;
    auto script = peer.homelab ? render_homelab_boot(input, *peer.homelab) : render_boot_script(input);
    if (!script) return fail(std::move(script.error()));
    answer.script = std::move(*script);
    answer.set = std::move(input.set.name);

    const Cause cause{host_.clock.system_now(), kActor, "boot served: " + std::string(to_string(answer.kind)), true};
    auto after = apply(machine, LifecycleEvent::kBoot, cause);
    if (!after) return fail(std::move(after.error()));
    answer.events = lifecycle_events(machine, *after, cause);
    answer.changed = !answer.events.empty();
    answer.after = std::move(*after);
    return answer;
}

Awaitable<Result<void>> Service::commit_boot(std::string key, std::string url_id, const Peer& peer,
                                             BootAnswer& answer) {
    // Two NICs may ask at once, and an operator may have changed the machine since it was read: only the decision on
    // the record that the commit compares with counts.
    RecordEdit edit = [&](const std::optional<Record>& record) -> Result<std::optional<Transaction::Put>> {
        if (!record) return fail(Code::kNotFound, "the machine was deleted");
        auto machine = decode<Machine>(record->value);
        if (!machine) return fail(std::move(machine.error()));
        auto decided = decide(*machine, url_id, peer);
        if (!decided) return fail(std::move(decided.error()));
        answer = std::move(*decided);
        return put_of(answer.after);
    };
    std::string kind(kMachineKind);
    std::string reason("boot served: ");
    reason += to_string(answer.kind);
    auto committed = co_await update_record(host_.store, std::move(kind), std::move(key), kActor, std::move(reason),
                                            std::move(edit));
    if (!committed) co_return fail(std::move(committed.error()));
    co_return Result<void>{};
}

void Service::report_boot(const FoundMachine& found, const BootAnswer& answer, const Peer& peer) const {
    // A client that asks again and again is reported once a second; what changes the machine is always reported.
    const auto history = read_record<BootHistory>(host_.store, kBootHistoryKind, found.key);
    const bool repeated =
        history && *history && host_.clock.system_now() - (*history)->value.last_boot.time < kRecordInterval;
    if (repeated && !answer.changed) return;
    const std::string source = peer.source.to_string();
    const std::string decision(to_string(answer.kind));
    log_.info("boot script served", {{"machine", found.machine.name}, {"decision", decision}, {"source", source}});
    host_.events.publish({"machine.boot",
                          found.machine.name,
                          "boot script served: " + decision,
                          {{"decision", decision}, {"source", source}, {"tenant", found.machine.tenant}}});
    for (const auto& event : answer.events) host_.events.publish(event);
}

// Known, and yet not served: the machine boots its disk, and an operator can see why.
Response Service::refuse_boot(const FoundMachine& found, const Peer& peer, Method method, const Error& error) {
    const unsigned status = status_of(error.code);
    if (status == 503) return plain(503, Outcome::kShed, "try again");
    const std::string source = peer.source.to_string();
    if (method == Method::kGet) recorder_.note_boot(found.key, {host_.clock.system_now(), source, "refused"});
    if (const auto held = refusal_log_.admit(host_.clock.steady_now())) {
        log_.error("cannot serve a boot script; the machine boots its disk",
                   {{"machine", found.machine.name}, {"source", source}, {"error", error}, {"suppressed", *held}});
        host_.events.publish({"machine.refused", found.machine.name, error.to_string(), {{"source", source}}});
    }
    return not_found(Outcome::kRefused);
}

Response Service::config(const ConfigRoute& route, const Request& request, const Peer& peer,
                         const std::string& tenant) {
    auto found = find_machine(host_.store, tenant, route.asked);
    if (!found) return failure(found.error(), "looking up a machine", Outcome::kError);
    if (!*found) return not_found(Outcome::kUnknownMachine);
    const auto& machine = (*found)->machine;
    // A homelab's scripts name the config's URL, whatever the machine's usual delivery: Talos can fetch plain HTTP.
    const auto delivery = peer.homelab ? ConfigDelivery::kUrl : machine.delivery;
    const bool embedded = delivery == ConfigDelivery::kEmbedded;
    const bool deliverable = embedded || (delivery == ConfigDelivery::kUrl && route.part == ConfigPart::kYaml);
    if (!serves_config(machine) || !is_expected_source(machine, peer.source) || !deliverable ||
        machine.config_sha256.empty()) {
        return not_found(Outcome::kRefused);
    }
    auto response = config_part(**found, route.part);
    if (!response) return failure(response.error(), "handing over the config of " + machine.name, Outcome::kError);
    return conditional(std::move(*response), request);
}

Result<Response> Service::config_part(const FoundMachine& found, ConfigPart part) {
    const auto& machine = found.machine;
    Response response;
    response.outcome = Outcome::kConfig;
    response.no_store = true;
    response.content_type = "application/yaml";
    if (part == ConfigPart::kExtensions) {
        auto set = artifacts_.set(machine.artifact_set);
        if (!set) return fail(std::move(set.error()));
        auto text = render_extensions(**set, machine.config_sha256);
        if (!text) return fail(std::move(text.error()));
        response.body = std::move(*text);
        response.etag = sha256_hex(response.body);
        return response;
    }
    const auto record = read_record<MachineConfig>(host_.store, kMachineConfigKind, found.key);
    if (!record) return fail(record.error());
    if (!*record) return fail(Code::kDataLoss, "its config is not stored; register it again");
    auto config = host_.secrets.open((*record)->value.sealed, machine_config_context(machine.name));
    if (!config) return fail(std::move(config.error()));
    if (sha256_hex(*config) != machine.config_sha256) {
        return fail(Code::kDataLoss, "the stored config does not have its digest; register it again");
    }
    if (part == ConfigPart::kYaml) {
        response.body = std::move(*config);
        response.etag = machine.config_sha256;
        return response;
    }
    auto image = images_.get(machine.config_sha256, *config);
    if (!image) return fail(std::move(image.error()));
    response.content_type = "application/octet-stream";
    response.body = (*image)->bytes;
    response.etag = (*image)->sha256;
    return response;
}

// An answer for an error; `outcome` counts it when it is a 404. What is our fault is logged.
Response Service::failure(const Error& error, std::string_view doing, Outcome outcome) {
    const unsigned status = status_of(error.code);
    if (status == 404) return not_found(outcome);
    if (const auto held = failure_log_.admit(host_.clock.steady_now())) {
        log_.error("cannot answer", {{"doing", doing}, {"error", error}, {"suppressed", *held}});
        host_.events.publish({"metadata.error", std::string(doing), error.to_string(), {}});
    }
    if (status == 503) return plain(503, Outcome::kShed, "try again");
    return plain(500, Outcome::kError, "internal error");
}

}  // namespace nett::metadata
