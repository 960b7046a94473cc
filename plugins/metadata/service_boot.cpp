// Service: /v1/boot.
#include <array>
#include <map>
#include <utility>

#include <openssl/rand.h>

#include "agent/sdk/enrol.hpp"
#include "agent/sdk/records.hpp"
#include "agent/sdk/servers.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/service.hpp"

namespace nett::metadata {

namespace {

Response not_found(Outcome outcome) {
    return plain(404, outcome, "not found");
}

Response script_of(std::string script) {
    Response response = plain(200, Outcome::kNetboot, "");
    response.body = std::move(script);
    return response;
}

Result<std::string> new_token() {
    std::string bytes(kTokenBytes, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) != 1) {
        return fail(Code::kInternal, "OpenSSL has no random bytes");
    }
    return to_hex(bytes);
}

// 12 hex digits: apart from all others of a site's years, and short enough to be typed.
std::string new_boot_id() {
    std::array<char, 6> bytes{};
    RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    return to_hex({bytes.data(), bytes.size()});
}

UnknownMachine seen_as(const AskedId& asked, const Peer& peer, std::string tenant, std::string port, SystemTime now) {
    UnknownMachine seen;
    seen.id = asked.id.uuid ? *asked.id.uuid : asked.id.mac.value_or("");
    seen.tenant = std::move(tenant);
    seen.source = peer.source.to_string();
    seen.first_seen = now;
    seen.last_seen = now;
    seen.requests = 1;
    seen.uuid = asked.id.uuid.value_or("");
    if (asked.id.mac) seen.macs = {*asked.id.mac};
    if (is_usable_serial(asked.serial)) seen.serial = asked.serial;
    seen.port = std::move(port);
    return seen;
}

// Another request, or an operator, changed what the plan was made of.
bool is_overtaken(const Error& error) {
    return error.code == Code::kAborted || error.code == Code::kAlreadyExists;
}

// It may have been stored, or may be yet.
bool is_unanswered(const Error& error) {
    return error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded;
}

// Servers that share their state cannot store it now, and that may last: the machine is not kept waiting, it boots its
// disk and people are told why. A state of this server's own is back in a moment.
Error unstored(const Store& store, Error error) {
    const auto servers = store.list(kServerKind, "", 1);
    if (is_unanswered(error) && servers && !servers->empty()) error.code = Code::kFailedPrecondition;
    return error;
}

}  // namespace

BootBasis Service::basis() const {
    return {host_.store.revision(), artifacts_.verdicts(), artifacts_.table(), ports_.table(), settings_.load()};
}

std::optional<Response> Service::known_answer(const Request& request, const Peer& peer, Conversation& conversation) {
    if (request.method != Method::kGet || peer.homelab) return std::nullopt;
    const auto tenant = tenant_of(peer, conversation);
    if (!tenant) return std::nullopt;
    const auto now = host_.clock.steady_now();
    const auto boot = known_boots_.find(KnownBoots::question(*tenant, peer, request.target), basis(), now);
    if (!boot) return std::nullopt;
    conversation.artifact_set = boot->set;
    if (std::exchange(conversation.boot_id, boot->boot_id) != boot->boot_id) conversation.artifacts_reported = 0;
    const std::string source = peer.source.to_string();
    if (boot->netboot) recent_sets_.note(*tenant + " " + source, boot->set, now);
    recorder_.note_boot(boot->machine,
                        {host_.clock.system_now(), source, boot->netboot ? "netboot" : "localboot", boot->boot_id});
    const auto outcome = boot->netboot ? Outcome::kNetboot : Outcome::kLocalBoot;
    if (host_.boots != nullptr) {
        host_.boots->count(host_.boots->of(*tenant), outcome, host_.clock.steady_now() - now);
    }
    return boot->netboot ? script_of(boot->script) : not_found(outcome);
}

Awaitable<Response> Service::boot(BootRoute route, Request request, const Peer& peer, std::string tenant,
                                  Conversation& conversation) {
    const auto method = request.method;
    const auto made_from = basis();
    conversation.artifact_set.clear();
    if (method == Method::kGet) {  // HEAD boots nothing
        conversation.boot_id = new_boot_id();
        conversation.artifacts_reported = 0;
    }
    auto found = co_await find_or_enrol(std::move(route.asked), method, peer, tenant);
    if (!found) co_return failure(found.error(), "looking up a machine", Outcome::kError);
    if (!*found) co_return not_found(Outcome::kUnknownMachine);
    FoundMachine& machine = **found;
    if (!is_expected(machine.machine, peer.source)) {
        const Error error{Code::kPermissionDenied, "asked from behind another port than it is bound to", {}};
        co_return refuse_boot(machine, peer, method, error, conversation.boot_id);
    }
    auto plan = co_await decide(machine, method, peer, conversation.boot_id);
    if (!plan) co_return refuse_boot(machine, peer, method, plan.error(), conversation.boot_id);
    if (method == Method::kGet) {
        report_boot(machine, *plan, peer, conversation.boot_id);
        if (plan->lasting && !peer.homelab) {
            known_boots_.note(
                KnownBoots::question(tenant, peer, request.target), made_from,
                {machine.key, plan->kind != BootKind::kDisk, plan->script, plan->set, conversation.boot_id},
                host_.clock.steady_now());
        }
    }
    if (plan->kind == BootKind::kDisk) co_return not_found(Outcome::kLocalBoot);
    conversation.artifact_set = plan->set;
    recent_sets_.note(tenant + " " + peer.source.to_string(), plan->set, host_.clock.steady_now());
    co_return script_of(std::move(plan->script));
}

Awaitable<Service::Found> Service::find_or_enrol(AskedId asked, Method method, const Peer& peer, std::string tenant) {
    auto found = find_machine(host_.store, tenant, asked);
    if (!found || *found || method != Method::kGet) co_return found;
    auto seen = seen_as(asked, peer, tenant, port_of(peer.source), host_.clock.system_now());
    if (seen.id.empty()) co_return found;
    UnknownMachine candidate = seen;
    auto enrolled = co_await auto_enrol(host_.store, host_.events, host_.clock, std::move(candidate), kActor);
    if (enrolled && *enrolled) co_return find_machine(host_.store, tenant, asked);
    recorder_.note_unknown(std::move(seen));
    if (!enrolled) {
        if (const auto held = enrol_log_.admit(host_.clock.steady_now())) {
            log_.error("a rule accepts an unknown machine, but it cannot be registered",
                       {{"tenant", tenant}, {"error", enrolled.error()}, {"suppressed", *held}});
        }
    }
    co_return found;
}

Awaitable<Result<void>> Service::prepare(const Machine& machine) {
    const auto kind = boot_decision(machine);
    if (kind == BootKind::kDisk) co_return Result<void>{};
    auto profile = effective_profile(host_.store, machine);
    if (!profile) co_return fail(std::move(profile.error()));
    auto name = set_name_for(machine, *profile, kind, *settings_.load());
    if (!name) co_return fail(std::move(name.error()));
    auto set = artifacts_.set(*name);
    if (!set) co_return fail(std::move(set.error()));
    co_return co_await artifacts_.prepare(std::move(*set));
}

Awaitable<Result<BootPlan>> Service::decide(FoundMachine& found, Method method, const Peer& peer, std::string boot_id) {
    const auto settings = settings_.load();
    bool prepared = false;
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        auto token = new_token();
        if (!token) co_return fail(std::move(token.error()));
        const auto superseded = last_tokens_.get(found.key, host_.clock.steady_now());
        const BootAsk ask{
            peer,    *settings,           host_.clock.system_now(), std::move(*token), superseded.value_or(""),
            boot_id, port_of(peer.source)};
        auto plan = plan_boot(host_.store, artifacts_, found, ask);
        if (!plan && plan.error().code == Code::kUnavailable && !std::exchange(prepared, true)) {
            auto done = co_await prepare(found.machine);
            if (!done) co_return fail(std::move(done.error()));
            continue;
        }
        if (!plan || method != Method::kGet || !plan->is_durable_first()) co_return plan;
        plan->lasting = false;
        const std::string reason = plan->transaction.reason;
        const bool uses_wipe = plan->before.wipe_pending && !plan->after.wipe_pending && host_.late_wipes != nullptr;
        if (uses_wipe) host_.late_wipes->begin(reason, found.key, plan->before, found.revision);
        auto committed = co_await host_.store.commit(std::move(plan->transaction));
        if (uses_wipe) {
            const bool in_doubt = !committed && is_unanswered(committed.error());
            in_doubt ? host_.late_wipes->given_up(reason) : host_.late_wipes->answered(reason);
        }
        if (committed) {
            if (!plan->token_sha256.empty()) {
                last_tokens_.note(found.key, plan->token_sha256, host_.clock.steady_now());
            }
            co_return plan;
        }
        if (!is_overtaken(committed.error())) {
            co_return fail(unstored(host_.store, std::move(committed.error())));
        }
        // Two NICs may ask at once, and an operator may have changed the machine: only what it is now counts.
        auto now = read_record<Machine>(host_.store, kMachineKind, found.key);
        if (!now) co_return fail(std::move(now.error()));
        if (!*now || (*now)->value.tenant != found.machine.tenant) {
            co_return fail(Code::kFailedPrecondition, "the machine was deleted meanwhile");
        }
        found.machine = std::move((*now)->value);
        found.revision = (*now)->revision;
    }
    co_return fail(Code::kUnavailable, "the machine is being changed by others all the time");
}

// Tokens of an earlier run of the agent, so that a new script revokes them as well.
Result<void> Service::start() {
    auto tokens = read_records<BootToken>(host_.store, kBootTokenKind);
    if (!tokens) return fail(std::move(tokens.error()));
    std::map<std::string, const BootToken*> latest;
    for (const auto& one : *tokens) {
        const auto [entry, fresh] = latest.try_emplace(one.value.machine, &one.value);
        if (!fresh && one.value.expires > entry->second->expires) entry->second = &one.value;
    }
    for (const auto& [machine, token] : latest) {
        last_tokens_.note(machine, token->token_sha256, host_.clock.steady_now());
    }
    return {};
}

void Service::report_boot(const FoundMachine& found, const BootPlan& plan, const Peer& peer,
                          const std::string& boot_id) {
    const auto now = host_.clock.system_now();
    const bool netboot = plan.kind != BootKind::kDisk;
    const std::string source = peer.source.to_string();
    recorder_.note_boot(found.key, {now, source, netboot ? "netboot" : "localboot", boot_id});
    const auto events = lifecycle_events(plan.before, plan.after, plan.cause);
    if (netboot) {
        // A client that asks again and again is reported once a second; what changes the machine is always reported.
        const auto steady = host_.clock.steady_now();
        const bool repeated = last_reports_.get(found.key, steady).has_value();
        if (!repeated || !events.empty()) {
            last_reports_.note(found.key, "", steady);
            const std::string decision(to_string(plan.kind));
            log_.info(
                "boot script served",
                {{"machine", found.machine.name}, {"decision", decision}, {"source", source}, {"boot_id", boot_id}});
            host_.events.publish({"machine.boot",
                                  found.machine.name,
                                  "boot script served: " + decision,
                                  {{"machine", found.machine.name},
                                   {"outcome", "netboot"},
                                   {"decision", decision},
                                   {"source", source},
                                   {"tenant", found.machine.tenant},
                                   {"boot_id", boot_id}}});
        }
    }
    for (const auto& event : events) host_.events.publish(event);
}

// Known, and yet not served: the machine boots its disk, and an operator can see why.
Response Service::refuse_boot(const FoundMachine& found, const Peer& peer, Method method, const Error& error,
                              const std::string& boot_id) {
    const unsigned status = status_of(error.code);
    // What passes: a store that is busy, a file that is being verified. A pool that is exhausted does not.
    if (status == 503 && error.code != Code::kResourceExhausted) return plain(503, Outcome::kShed, "try again");
    const std::string source = peer.source.to_string();
    if (method == Method::kGet) recorder_.note_boot(found.key, {host_.clock.system_now(), source, "refused", boot_id});
    if (const auto held = refusal_log_.admit(host_.clock.steady_now())) {
        log_.error("cannot serve a boot script; the machine boots its disk", {{"machine", found.machine.name},
                                                                              {"source", source},
                                                                              {"error", error},
                                                                              {"boot_id", boot_id},
                                                                              {"suppressed", *held}});
        host_.events.publish(
            {"machine.refused", found.machine.name, error.to_string(), {{"source", source}, {"boot_id", boot_id}}});
    }
    return not_found(Outcome::kRefused);
}

std::string Service::port_of(const Address6& source) const {
    const auto settings = settings_.load();
    for (const auto& one : settings->ports) {
        if (one.prefix.contains(source)) return one.port;
    }
    return ports_.find(source);
}

bool Service::is_expected(const Machine& machine, const Address6& source) const {
    return is_expected_source(machine, source, machine.ports.empty() ? "" : port_of(source));
}

}  // namespace nett::metadata
