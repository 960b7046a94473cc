#include "plugins/metadata/service.hpp"

#include <utility>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

Service::Service(ServiceEnvironment environment, const TenantCache& tenants, const PortTable& ports, Recorder& recorder,
                 Artifacts& artifacts)
    : host_(std::move(environment)),
      tenants_(tenants),
      ports_(ports),
      recorder_(recorder),
      artifacts_(artifacts),
      images_(kSquashfsCacheBytes),
      recent_sets_(kMaxRecentBoots, kRecentBootAge),
      last_tokens_(kMaxRecentBoots, std::chrono::seconds(kMaxTokenLifetimeSeconds)),
      last_reports_(kMaxRecentBoots, kRecordInterval) {}

void Service::set_settings(ServiceSettings settings) {
    settings_.store(std::make_shared<const ServiceSettings>(std::move(settings)));
}

Awaitable<Response> Service::handle(Request request, const Peer& peer, Conversation& conversation) {
    auto response = co_await route_request(std::move(request), peer, conversation);
    // Not in a refusal: every 404 has the same bytes.
    if (response.status < 400) response.boot_id = conversation.boot_id;
    co_return response;
}

Awaitable<Response> Service::route_request(Request request, const Peer& peer, Conversation& conversation) {
    if (request.method == Method::kOther) co_return plain(405, Outcome::kBadRequest, "only GET and HEAD");
    auto known = known_answer(request, peer, conversation);
    if (known) co_return std::move(*known);
    auto route = parse_target(request.target);
    if (!route) {
        const auto outcome = route.error().code == Code::kInvalidArgument ? Outcome::kBadRequest : Outcome::kNotFound;
        if (outcome == Outcome::kNotFound) co_return plain(404, outcome, "not found");
        co_return plain(400, outcome, "bad request");
    }
    auto tenant = tenant_of(peer, conversation);
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
        const auto* counted = host_.boots != nullptr ? &host_.boots->of(*tenant) : nullptr;
        const auto began = host_.clock.steady_now();
        auto response =
            co_await boot(std::move(boot_route), std::move(request), peer, std::move(*tenant), conversation);
        if (counted != nullptr) host_.boots->count(*counted, response.outcome, host_.clock.steady_now() - began);
        co_return response;
    }
    if (const auto* asked = std::get_if<ConfigRoute>(&*route)) {
        co_return config(*asked, request, peer, *tenant, conversation.boot_id);
    }
    ArtifactRoute artifact_route = std::move(std::get<ArtifactRoute>(*route));
    report_artifact(artifact_route, request, peer, conversation);
    co_return co_await artifact(std::move(artifact_route), std::move(request), peer, std::move(*tenant),
                                conversation.artifact_set);
}

// A connection's certificate does not change, so it is matched once, and again when the rules have changed.
Result<std::string> Service::tenant_of(const Peer& peer, Conversation& conversation) const {
    if (peer.homelab) return peer.homelab->tenant;
    auto table = tenants_.table();
    if (conversation.tenants == table && conversation.subject == peer.subject) return conversation.tenant;
    auto tenant = table->match(peer.subject);
    if (tenant) {
        conversation.tenants = std::move(table);
        conversation.subject = peer.subject;
        conversation.tenant = *tenant;
    }
    return tenant;
}

// An answer for an error; `outcome` counts it when it is a 404. What is our fault is logged.
Response Service::failure(const Error& error, std::string_view doing, Outcome outcome) {
    const unsigned status = status_of(error.code);
    if (status == 404) return plain(404, outcome, "not found");
    if (const auto held = failure_log_.admit(host_.clock.steady_now())) {
        log_.error("cannot answer", {{"doing", doing}, {"error", error}, {"suppressed", *held}});
        host_.events.publish({"metadata.error", std::string(doing), error.to_string(), {}});
    }
    if (status == 503) return plain(503, Outcome::kShed, "try again");
    return plain(500, Outcome::kError, "internal error");
}

}  // namespace nett::metadata
