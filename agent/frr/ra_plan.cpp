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

std::string_view words(RouterPreference preference) {
    if (preference == RouterPreference::kHigh) return "high";
    return preference == RouterPreference::kLow ? "low" : "medium";
}

// "what A instead of B" for each value that differs.
class Differences {
public:
    template <typename T>
    void value(std::string_view what, const T& actual, const T& wanted) {
        if (!(actual == wanted)) add(fmt::format("{} {} instead of {}", what, actual, wanted));
    }
    void add(std::string text) { text_ += (text_.empty() ? "" : ", ") + std::move(text); }
    std::string take() { return std::move(text_); }

private:
    std::string text_;
};

void compare_prefixes(Differences& found, const RaInterface& actual, const RaInterface& wanted) {
    for (const RaPrefix& entry : wanted.prefixes) {
        auto it = std::find_if(actual.prefixes.begin(), actual.prefixes.end(),
                               [&](const RaPrefix& other) { return other.prefix == entry.prefix; });
        if (it == actual.prefixes.end()) {
            found.add(fmt::format("prefix {} missing", entry.prefix.to_string()));
        } else if (!(*it == entry)) {
            found.add(fmt::format("prefix {} for {}/{} s instead of {}/{} s", entry.prefix.to_string(),
                                  it->valid_lifetime.count(), it->preferred_lifetime.count(),
                                  entry.valid_lifetime.count(), entry.preferred_lifetime.count()));
        }
    }
    for (const RaPrefix& entry : actual.prefixes) {
        if (!contains_prefix(wanted, entry.prefix))
            found.add(fmt::format("foreign prefix {}", entry.prefix.to_string()));
    }
}

void compare_dns_servers(Differences& found, const RaInterface& actual, const RaInterface& wanted) {
    for (const RaDnsServer& entry : wanted.dns_servers) {
        if (std::find(actual.dns_servers.begin(), actual.dns_servers.end(), entry) == actual.dns_servers.end())
            found.add(fmt::format("DNS server {} missing or changed", entry.address.to_string()));
    }
    for (const RaDnsServer& entry : actual.dns_servers) {
        if (!contains_dns_server(wanted, entry.address))
            found.add(fmt::format("foreign DNS server {}", entry.address.to_string()));
    }
}

SteadyTime deprecation_end(const RaInterface& interface, SteadyTime now) {
    return now + kRaDeprecationIntervals * interface.max_interval;
}

RaPrefix deprecated(const Prefix6& prefix) {
    return RaPrefix{prefix, kDeprecatedValidLifetime, std::chrono::seconds(0)};
}

}  // namespace

std::string difference(const RaActual* actual, const RaInterface& programmed) {
    if (programmed.name.empty()) return {};  // nothing was programmed yet
    if (actual == nullptr || !actual->send) return "no advertisements";
    const RaInterface& config = actual->config;
    Differences found;
    found.value("interval in ms", config.max_interval.count(), programmed.max_interval.count());
    found.value("router lifetime", config.router_lifetime.count(), programmed.router_lifetime.count());
    found.value("preference", words(config.preference), words(programmed.preference));
    found.value("mtu", config.mtu.value_or(0), programmed.mtu.value_or(0));
    found.value("managed flag", config.managed, programmed.managed);
    found.value("other-config flag", config.other_config, programmed.other_config);
    compare_prefixes(found, config, programmed);
    compare_dns_servers(found, config, programmed);
    std::string text = found.take();
    return text.empty() && !actual->exact ? "flags or lifetimes that nett never sets" : text;
}

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

void RaPlanner::program(RaChange& change, Managed& managed, RaInterface target, const RaActual* actual,
                        std::string drift) {
    target = normalized(std::move(target));
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
    if (!drift.empty()) change.drift.push_back({FrrDaemon::kZebra, target.name, std::move(drift), {}});
    change.put.push_back(std::move(target));
}

void RaPlanner::plan_declared(RaChange& change, const RaInterface& wanted, const RaActual* actual, SteadyTime now) {
    Managed& managed = interfaces_.try_emplace(wanted.name, Managed{wanted, {}, {}, false, {}}).first->second;
    // What others added becomes a prefix on its way out below, so it is compared before that.
    std::string drift = managed.declared == wanted ? difference(actual, managed.programmed) : std::string();
    retire_prefixes(managed, wanted, actual, now);
    managed.declared = wanted;
    managed.leaving = false;
    RaInterface target = wanted;
    std::erase_if(target.prefixes, [](const RaPrefix& entry) { return entry.valid_lifetime.count() == 0; });
    for (const auto& [prefix, until] : managed.deprecated) {
        if (now < until) target.prefixes.push_back(deprecated(prefix));
    }
    program(change, managed, std::move(target), actual, std::move(drift));
    // Kept until zebra no longer has it: otherwise it would be found there and deprecated once more.
    std::erase_if(managed.deprecated, [&](const auto& entry) {
        return now >= entry.second && (actual == nullptr || !contains_prefix(actual->config, entry.first));
    });
}

bool RaPlanner::plan_leaving(RaChange& change, Managed& managed, const RaActual* actual, SteadyTime now) {
    if (actual == nullptr || !actual->send) return true;  // gone already, or zebra restarted without it
    std::string drift = managed.leaving ? difference(actual, managed.programmed) : std::string();
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
    program(change, managed, std::move(target), actual, std::move(drift));
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
