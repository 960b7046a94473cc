#include "agent/fabric/tracker.hpp"

#include <set>

namespace nett {

bool PrefixTracker::is_due(const State& state, SteadyTime now) const {
    return state.present != state.stable && now - state.since >= stable_time_;
}

bool PrefixTracker::observe(SteadyTime now, const std::vector<PortRoute>& routes) {
    bool changed = false;
    std::set<Key> present;
    for (const auto& route : routes) {
        const Key key{route.interface, route.prefix};
        if (!present.insert(key).second) continue;  // a second next hop on the same port
        auto [entry, is_new] = states_.try_emplace(key, State{route.next_hop, true, false, now});
        auto& state = entry->second;
        if (!state.present) {
            state.present = true;
            state.since = now;
        }
        changed |= state.stable && state.next_hop != route.next_hop;
        state.next_hop = route.next_hop;
    }
    for (auto entry = states_.begin(); entry != states_.end();) {
        auto& [key, state] = *entry;
        if (present.contains(key)) {
            ++entry;
        } else if (!state.stable) {
            entry = states_.erase(entry);
        } else {
            if (state.present) state.since = now;
            state.present = false;
            ++entry;
        }
    }
    return advance(now) || changed;
}

bool PrefixTracker::advance(SteadyTime now) {
    bool changed = false;
    for (auto entry = states_.begin(); entry != states_.end();) {
        auto& state = entry->second;
        const bool due = is_due(state, now);
        changed |= due;
        if (due && !state.present) {
            entry = states_.erase(entry);
            continue;
        }
        if (due) state.stable = true;
        ++entry;
    }
    return changed;
}

std::optional<SteadyTime> PrefixTracker::next_deadline() const {
    std::optional<SteadyTime> next;
    for (const auto& [key, state] : states_) {
        if (state.present == state.stable) continue;
        const auto due = state.since + stable_time_;
        if (!next || due < *next) next = due;
    }
    return next;
}

std::vector<PortRoute> PrefixTracker::stable() const {
    std::vector<PortRoute> out;
    for (const auto& [key, state] : states_) {
        if (state.stable) out.push_back({key.first, key.second, state.next_hop});
    }
    return out;
}

std::vector<PortRoute> machine_routes(const std::vector<PortRoute>& routes) {
    std::vector<PortRoute> out;
    std::map<std::string, std::size_t> count;
    for (const auto& route : routes) {
        if (route.prefix.length() == 0 || route.prefix.address().is_multicast()) continue;
        if (route.prefix.address().is_link_local() || count[route.interface]++ >= kMaxPrefixesPerPort) continue;
        out.push_back(route);
    }
    return out;
}

}  // namespace nett
