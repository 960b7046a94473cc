// Service: /v1/artifacts.
#include <utility>

#include "agent/sdk/records.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/ranges.hpp"
#include "plugins/metadata/service.hpp"

namespace nett::metadata {

Awaitable<Response> Service::artifact(ArtifactRoute route, Request request, const Peer& peer, std::string tenant,
                                      std::string set_of_conversation) {
    auto found = find_artifact(route, peer, tenant, set_of_conversation);
    if (!found) co_return failure(found.error(), "finding an artifact", Outcome::kNotFound);
    const ArtifactFile description = std::move(*found);
    auto file = co_await artifacts_.open(description);
    if (!file) co_return failure(file.error(), "opening the artifact " + route.file, Outcome::kNotFound);
    Response response;
    response.outcome = Outcome::kArtifact;
    response.content_type = "application/octet-stream";
    response.etag = description.sha256;
    response.file = std::move(*file);
    response.file_size = description.size;
    response.accept_ranges = true;
    co_return conditional(std::move(response), request);
}

// The files of a boot, once each: kernel, initramfs and what a template adds. Ranges and other clients are not logged.
void Service::report_artifact(const ArtifactRoute& route, const Request& request, const Peer& peer,
                              Conversation& conversation) {
    if (conversation.boot_id.empty() || request.method != Method::kGet || !request.range.empty()) return;
    if (conversation.artifacts_reported >= kMaxReportedArtifacts) return;
    ++conversation.artifacts_reported;
    log_.info("artifact asked for", {{"file", route.file},
                                     {"set", conversation.artifact_set},
                                     {"source", peer.source.to_string()},
                                     {"boot_id", conversation.boot_id}});
}

Result<ArtifactFile> Service::find_artifact(const ArtifactRoute& route, const Peer& peer, const std::string& tenant,
                                            const std::string& set_of_conversation) const {
    if (!route.version.empty()) {
        auto file = artifacts_.table()->find(route.version, route.architecture, route.schematic, route.file);
        if (!file) return fail(std::move(file.error()));
        return **file;
    }
    auto name = route.set.empty() ? flat_set(route, peer, tenant, set_of_conversation) : Result<std::string>(route.set);
    if (!name) return fail(std::move(name.error()));
    auto set = artifacts_.set(*name);
    if (!set) return fail(std::move(set.error()));
    const auto* file = find_file(**set, route.file);
    if (file == nullptr) return fail(Code::kNotFound, "artifact set \"{}\" has no file \"{}\"", *name, route.file);
    return *file;
}

Result<std::string> Service::flat_set(const ArtifactRoute& route, const Peer& peer, const std::string& tenant,
                                      const std::string& set_of_conversation) const {
    if (!route.asked.empty()) {
        auto found = find_machine(host_.store, tenant, route.asked);
        if (!found) return fail(std::move(found.error()));
        if (!*found || !is_expected((*found)->machine, peer.source)) {
            return fail(Code::kNotFound, "no such machine");
        }
        const auto& machine = (*found)->machine;
        auto profile = effective_profile(host_.store, machine);
        if (!profile) return fail(std::move(profile.error()));
        return set_name_for(machine, *profile, boot_decision(machine), *settings_.load());
    }
    if (!set_of_conversation.empty()) return set_of_conversation;
    auto recent = recent_sets_.get(tenant + " " + peer.source.to_string(), host_.clock.steady_now());
    if (recent) return std::move(*recent);
    const auto table = artifacts_.table();
    if (const auto* only = table->only()) return only->name;
    return fail(Code::kNotFound, "a flat artifact name, and {} artifact sets", table->sets().size());
}

}  // namespace nett::metadata
