#include "agent/fabric/view.hpp"

#include <algorithm>

namespace nett {

void FabricView::publish(const FabricOrigin& origin, const PortPrefix& prefix, bool up) {
    const auto text = prefix.prefix.to_string();
    events_.publish({"fabric.prefix",
                     text,
                     up ? fmt::format("announced behind {}", prefix.port) : fmt::format("gone behind {}", prefix.port),
                     {{"prefix", text},
                      {"port", prefix.port},
                      {"next_hop", prefix.next_hop.to_string()},
                      {"state", up ? "up" : "down"},
                      {"origin", origin.name}}});
}

void FabricView::replace(const std::string& name, std::vector<PortPrefix> prefixes, bool own) {
    auto& origin = origins_[name];
    origin.name = name;
    origin.own = own;
    std::map<PortPrefix, SystemTime> next;
    for (auto& prefix : prefixes) {
        // A new next hop on the same port is the same announcement: no event, no new beginning.
        const auto same = std::find_if(origin.prefixes.begin(), origin.prefixes.end(), [&](const auto& known) {
            return known.first.port == prefix.port && known.first.prefix == prefix.prefix;
        });
        const bool known = same != origin.prefixes.end();
        const auto since = known ? same->second : clock_.system_now();
        if (known) origin.prefixes.erase(same);
        if (!known) publish(origin, prefix, true);
        next.emplace(std::move(prefix), since);
    }
    for (const auto& [prefix, since] : origin.prefixes) publish(origin, prefix, false);
    origin.prefixes = std::move(next);
    heard(name);
}

void FabricView::heard(const std::string& name) {
    const auto found = origins_.find(name);
    if (found == origins_.end()) return;
    found->second.heard = clock_.system_now();
    mark(found->second, false);
}

void FabricView::check() {
    for (auto& [name, origin] : origins_) {
        if (!origin.own && clock_.system_now() - origin.heard > kSilentAfter) mark(origin, true);
    }
}

void FabricView::mark(FabricOrigin& origin, bool silent) {
    if (origin.own || origin.silent == silent) return;
    origin.silent = silent;
    health_.report({"fabric", origin.name, HealthScope::kInfo, silent ? HealthState::kDegraded : HealthState::kOk,
                    silent ? "this switch has not reported for a while; what it said last is kept" : "",
                    silent ? "see \"show fabric\" on the switch, and its way to this host" : ""});
}

}  // namespace nett
