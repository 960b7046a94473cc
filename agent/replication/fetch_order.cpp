#include "agent/replication/fetch_order.hpp"

#include <algorithm>
#include <functional>
#include <tuple>

namespace nett::replication {

ArtifactState artifact_state(std::string endpoint, const std::vector<std::string>& digests) {
    ArtifactState out{std::move(endpoint), static_cast<std::int64_t>(digests.size()), {}};
    for (const auto& digest : digests) {
        if (out.missing.size() == kMissingNamed) break;
        out.missing.push_back(digest.substr(0, kMissingDigits));
    }
    return out;
}

bool may_have(const ServerState& server, const std::string& sha256) {
    const auto& artifacts = server.artifacts;
    if (artifacts.endpoint.empty() || artifacts.missing_files < 0) return false;
    return std::find(artifacts.missing.begin(), artifacts.missing.end(), sha256.substr(0, kMissingDigits)) ==
           artifacts.missing.end();
}

std::optional<ServerState> FetchOrder::choose(const std::vector<ServerState>& peers, const std::string& sha256,
                                              SteadyTime now) const {
    const auto rank = [&](const ServerState& peer) {
        return std::tuple(failures(peer.name), peer.artifacts.missing_files,
                          std::hash<std::string>{}(peer.name + sha256));
    };
    const ServerState* best = nullptr;
    for (const auto& peer : peers) {
        if (!may_have(peer, sha256)) continue;
        const auto known = attempts_.find(peer.name);
        if (known != attempts_.end() && known->second.not_before > now) continue;
        if (best == nullptr || rank(peer) < rank(*best)) best = &peer;
    }
    return best == nullptr ? std::nullopt : std::optional(*best);
}

void FetchOrder::failed(const std::string& peer, SteadyTime now) {
    auto& attempts = attempts_[peer];
    constexpr int kDoublings = 5;  // beyond that it is at its bound
    const auto delay = kFirstFetchDelay * (1 << std::min(attempts.failures, kDoublings));
    ++attempts.failures;
    attempts.not_before = now + std::min<std::chrono::seconds>(delay, kLastFetchDelay);
}

SteadyTime FetchOrder::next(const std::vector<ServerState>& peers, const std::string& sha256) const {
    auto out = SteadyTime::max();
    for (const auto& peer : peers) {
        const auto known = attempts_.find(peer.name);
        if (known != attempts_.end() && may_have(peer, sha256)) out = std::min(out, known->second.not_before);
    }
    return out;
}

int FetchOrder::failures(const std::string& peer) const {
    const auto known = attempts_.find(peer);
    return known == attempts_.end() ? 0 : known->second.failures;
}

}  // namespace nett::replication
