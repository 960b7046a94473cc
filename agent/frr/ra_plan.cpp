#include "agent/frr/ra_plan.hpp"

#include <algorithm>

namespace nett {
namespace {

bool contains_prefix(const RaInterface& interface, const Prefix6& prefix) {
    return std::any_of(interface.prefixes.begin(), interface.prefixes.end(),
                       [&](const RaPrefix& entry) { return entry.prefix == prefix; });
}

bool contains_dns_server(const RaInterface& interface, const Address6& address) {
    return std::any_of(interface.dns_servers.begin(), interface.dns_servers.end(),
                       [&](const RaDnsServer& entry) { return entry.address == address; });
}

SteadyTime deprecation_end(const RaInterface& interface, SteadyTime now) {
    return now + kDeprecationIntervals * interface.max_interval;
}

RaPrefix deprecated(const Prefix6& prefix) {
    return RaPrefix{prefix, kDeprecatedValidLifetime, std::chrono::seconds(0)};
}

}  // namespace

RaInterface normalized(RaInterface interface) {
    std::sort(interface.prefixes.begin(), interface.prefixes.end(),
              [](const RaPrefix& a, const RaPrefix& b) { return a.prefix < b.prefix; });
    std::sort(interface.dns_servers.begin(), interface.dns_servers.end(),
              [](const RaDnsServer& a, const RaDnsServer& b) { return a.address < b.address; });
    return interface;
}

void RaPlanner::retire_prefixes(Managed& managed, const RaInterface& wanted, const RaActual* actual, SteadyTime now) {
    auto retire = [&](const RaPrefix& entry) {
        if (!contains_prefix(wanted, entry.prefix)) {
            managed.deprecated.try_emplace(entry.prefix, deprecation_end(wanted, now));
        }
    };
    for (const RaPrefix& entry : managed.declared.prefixes) retire(entry);
    if (actual != nullptr) {
        for (const RaPrefix& entry : actual->config.prefixes) retire(entry);
    }
    std::erase_if(managed.deprecated, [&](const auto& entry) { return contains_prefix(wanted, entry.first); });
}

void RaPlanner::program(RaChange& change, Managed& managed, RaInterface target, const RaActual* actual) {
    target = normalized(std::move(target));
    bool wanted_before = managed.programmed == target;
    managed.programmed = target;
    if (actual != nullptr) {
        if (actual->send && actual->exact && actual->config == target) return;
        for (const RaPrefix& entry : actual->config.prefixes) {
            if (!contains_prefix(target, entry.prefix)) change.delete_prefixes.emplace_back(target.name, entry.prefix);
        }
        for (const RaDnsServer& entry : actual->config.dns_servers) {
            if (!contains_dns_server(target, entry.address)) {
                change.delete_dns_servers.emplace_back(target.name, entry.address);
            }
        }
    }
    change.drift |= wanted_before;
    change.put.push_back(std::move(target));
}

void RaPlanner::plan_declared(RaChange& change, const RaInterface& wanted, const RaActual* actual, SteadyTime now) {
    Managed& managed = interfaces_.try_emplace(wanted.name, Managed{wanted, {}, {}, false, {}}).first->second;
    retire_prefixes(managed, wanted, actual, now);
    managed.declared = wanted;
    managed.leaving = false;
    RaInterface target = wanted;
    for (const auto& [prefix, until] : managed.deprecated) {
        if (now < until) target.prefixes.push_back(deprecated(prefix));
    }
    program(change, managed, std::move(target), actual);
    // Kept until zebra no longer has it: otherwise it would be found there and deprecated once more.
    std::erase_if(managed.deprecated, [&](const auto& entry) {
        return now >= entry.second && (actual == nullptr || !contains_prefix(actual->config, entry.first));
    });
}

bool RaPlanner::plan_leaving(RaChange& change, Managed& managed, const RaActual* actual, SteadyTime now) {
    if (actual == nullptr || !actual->send) return true;  // gone already, or zebra restarted without it
    if (!managed.leaving) {
        managed.leaving = true;
        managed.leaves_at = deprecation_end(managed.declared, now);
    }
    if (now >= managed.leaves_at) {
        change.clear.push_back(managed.declared.name);
        return false;  // until zebra shows that it is gone
    }
    RaInterface target = managed.declared;
    target.router_lifetime = std::chrono::seconds(0);
    for (RaPrefix& entry : target.prefixes) entry = deprecated(entry.prefix);
    for (const auto& [prefix, until] : managed.deprecated) {
        if (!contains_prefix(target, prefix)) target.prefixes.push_back(deprecated(prefix));
    }
    for (RaDnsServer& server : target.dns_servers) server.lifetime = std::chrono::seconds(0);
    program(change, managed, std::move(target), actual);
    return false;
}

RaChange RaPlanner::plan(const Declared& declared, const RaTable& actual, SteadyTime now) {
    auto actual_of = [&](const std::string& name) {
        auto it = actual.find(name);
        return it == actual.end() ? nullptr : &it->second;
    };
    RaChange change;
    for (const auto& [name, wanted] : declared) plan_declared(change, wanted, actual_of(name), now);
    for (auto it = interfaces_.begin(); it != interfaces_.end();) {
        bool gone = !declared.contains(it->first) && plan_leaving(change, it->second, actual_of(it->first), now);
        it = gone ? interfaces_.erase(it) : std::next(it);
    }
    return change;
}

}  // namespace nett
