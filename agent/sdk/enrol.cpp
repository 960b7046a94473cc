#include "agent/sdk/enrol.hpp"

#include <algorithm>

#include "agent/sdk/identity.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

bool fits_port(const std::string& pattern, const std::string& port) {
    if (pattern.ends_with('*')) return port.starts_with(pattern.substr(0, pattern.size() - 1));
    return pattern == port;
}

// Whether a criterion that is given fits; one that is not given does.
template <typename Fits>
bool holds(const std::vector<std::string>& wanted, Fits fits) {
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), fits);
}

bool fits(const AutoEnrolRule& rule, const UnknownMachine& seen) {
    if (rule.ports.empty() && rule.uuids.empty() && rule.mac_prefixes.empty()) return false;
    const auto by_port = [&](const std::string& port) { return !seen.port.empty() && fits_port(port, seen.port); };
    const auto by_uuid = [&](const std::string& uuid) { return uuid == seen.uuid; };
    const auto by_mac = [&](const std::string& prefix) {
        return std::any_of(seen.macs.begin(), seen.macs.end(),
                           [&](const auto& mac) { return mac.starts_with(prefix); });
    };
    return holds(rule.ports, by_port) && holds(rule.uuids, by_uuid) && holds(rule.mac_prefixes, by_mac);
}

// As a part of a name: lower case, what a name may not have becomes a dash.
std::string name_part(std::string_view text) {
    auto out = to_lower(text);
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'); }, '-');
    return out;
}

Result<std::string> expand(const std::string& pattern, const UnknownMachine& seen) {
    std::string mac = seen.macs.empty() ? "" : seen.macs.front();
    std::erase(mac, ':');
    const std::pair<std::string_view, std::string> values[]{
        {"{mac}", mac}, {"{uuid}", seen.uuid}, {"{serial}", name_part(seen.serial)}, {"{port}", name_part(seen.port)}};
    std::string name = pattern;
    for (const auto& [place, value] : values) {
        for (auto at = name.find(place); at != std::string::npos; at = name.find(place, at + value.size())) {
            if (value.empty()) {
                return fail(Code::kInvalidArgument, "the name pattern \"{}\" says {}, which machine {} did not tell",
                            pattern, place, seen.id);
            }
            name.replace(at, place.size(), value);
        }
    }
    return name;
}

struct Enrolment {
    Machine machine;
    Transaction transaction;
};

// nullopt: no rule fits.
Result<std::optional<Enrolment>> plan_enrolment(const Store& store, const UnknownMachine& seen, SystemTime now) {
    const auto tenant = read_record<Tenant>(store, kTenantKind, seen.tenant);
    if (!tenant) return fail(tenant.error());
    if (!*tenant) return std::optional<Enrolment>();
    const auto* rule = matching_rule((*tenant)->value, seen);
    if (rule == nullptr) return std::optional<Enrolment>();
    NETT_TRY(check_quota(store, (*tenant)->value));
    auto machine = enrolled_machine((*tenant)->value, *rule, seen);
    if (!machine) return fail(std::move(machine.error()));
    const auto taken = store.get(kMachineKind, machine->name);
    if (!taken) return fail(taken.error());
    if (*taken) return fail(Code::kAlreadyExists, "machine \"{}\" is registered already", machine->name);
    machine->state_since = now;
    const auto profile = effective_profile(store, *machine);
    if (!profile) return fail(profile.error());
    if (!profile->prefix_pool.empty()) machine->production = {ProductionMode::kPool, profile->prefix_pool, ""};
    Enrolment out;
    out.transaction.compares.push_back(unchanged(kTenantKind, seen.tenant, (*tenant)->revision));
    out.transaction.compares.push_back(unchanged(kMachineKind, machine->name, 0));
    out.transaction.puts.push_back(put_of(*machine));
    out.transaction.deletes.push_back({std::string(kUnknownMachineKind), unknown_machine_key(seen.tenant, seen.id)});
    out.machine = std::move(*machine);
    return std::optional<Enrolment>(std::move(out));
}

}  // namespace

const AutoEnrolRule* matching_rule(const Tenant& tenant, const UnknownMachine& seen) {
    const auto found = std::find_if(tenant.auto_enrol.begin(), tenant.auto_enrol.end(),
                                    [&](const AutoEnrolRule& rule) { return fits(rule, seen); });
    return found == tenant.auto_enrol.end() ? nullptr : &*found;
}

Result<Machine> enrolled_machine(const Tenant& tenant, const AutoEnrolRule& rule, const UnknownMachine& seen) {
    auto name = expand(rule.name_pattern, seen);
    if (!name) return fail(std::move(name.error()));
    NETT_TRY(check_name("machine", *name));
    Machine machine;
    machine.name = std::move(*name);
    machine.tenant = tenant.name;
    if (is_usable_uuid(seen.uuid)) machine.uuid = seen.uuid;
    machine.macs = seen.macs;
    machine.serial = seen.serial;
    machine.profile = rule.profile;
    if (machine.uuid.empty() && machine.macs.empty()) {
        return fail(Code::kInvalidArgument, "machine {} told neither a UUID that is its own nor a MAC address",
                    seen.id);
    }
    return machine;
}

Result<void> check_quota(const Store& store, const Tenant& tenant) {
    if (tenant.machine_quota == 0) return {};
    const auto machines = store.count(kMachineKind, kTenantIndex, group_prefix(tenant.name));
    if (!machines) return fail(machines.error());
    if (*machines < tenant.machine_quota) return {};
    return fail(Code::kResourceExhausted, "tenant \"{}\" has {} machines, its quota is {}", tenant.name, *machines,
                tenant.machine_quota);
}

Awaitable<Result<std::optional<Stored<Machine>>>> auto_enrol(Store& store, EventBus& events, const Clock& clock,
                                                             UnknownMachine seen, std::string actor) {
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        auto plan = plan_enrolment(store, seen, clock.system_now());
        if (!plan) co_return fail(std::move(plan.error()));
        if (!*plan) co_return std::optional<Stored<Machine>>();
        (*plan)->transaction.actor = actor;
        (*plan)->transaction.reason = "a tenant's auto-enrol rule";
        auto committed = co_await store.commit(std::move((*plan)->transaction));
        if (!committed && committed.error().code == Code::kAborted) continue;
        if (!committed) co_return fail(std::move(committed.error()));
        auto& machine = (*plan)->machine;
        Event event;
        event.type = "machine.registered";
        event.subject = machine.name;
        event.message = fmt::format("enrolled by a rule of tenant {}", machine.tenant);
        event.fields = {{"machine", machine.name}, {"actor", actor}, {"reason", "a tenant's auto-enrol rule"}};
        events.publish(std::move(event));
        co_return std::optional<Stored<Machine>>(Stored<Machine>{std::move(machine), *committed});
    }
    co_return fail(Code::kAborted, "tenant \"{}\" changes faster than machine {} can be enrolled", seen.tenant,
                   seen.id);
}

}  // namespace nett
