#include "plugins/metadata/known_boots.hpp"

#include <utility>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

void append(std::string& out, const Address6& address) {
    const auto bytes = address.to_bytes();
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto scope = static_cast<std::uint32_t>(address.scope_id());
    out.append(reinterpret_cast<const char*>(&scope), sizeof scope);
}

}  // namespace

// The addresses have a fixed length and a tenant's name has no slash, with which every target begins: no two requests
// share a text.
std::string KnownBoots::question(const std::string& tenant, const Peer& peer, std::string_view target) {
    std::string out;
    out.reserve(48 + tenant.size() + target.size());
    append(out, peer.source);
    append(out, peer.local.address().to_v6());
    const std::uint16_t port = peer.local.port();
    out.append(reinterpret_cast<const char*>(&port), sizeof port);
    out += tenant;
    out += target;
    return out;
}

std::shared_ptr<const KnownBoot> KnownBoots::find(const std::string& question, const BootBasis& basis,
                                                  SteadyTime now) const {
    const std::lock_guard lock(mutex_);
    if (basis_ != basis) return nullptr;
    const auto found = entries_.find(question);
    if (found == entries_.end() || now - found->second.decided >= kKnownBootAge) return nullptr;
    return found->second.boot;
}

void KnownBoots::note(std::string question, const BootBasis& basis, KnownBoot boot, SteadyTime now) {
    auto known = std::make_shared<const KnownBoot>(std::move(boot));
    const std::lock_guard lock(mutex_);
    // Others have decided on newer records; unless they were another cluster's, whose revisions went further.
    if (basis.revision < basis_.revision && now - since_ < kKnownBootAge) return;
    if (basis_ != basis || entries_.size() >= kMaxKnownBoots) entries_.clear();
    if (basis_.revision != basis.revision) since_ = now;
    basis_ = basis;
    entries_.insert_or_assign(std::move(question), Entry{std::move(known), now});
}

}  // namespace nett::metadata
