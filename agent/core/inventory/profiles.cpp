// Inventory's use cases for profiles and prefix pools.
#include <algorithm>

#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/prefixes.hpp"

namespace nett {

namespace {

// A machine that has the profile, by its record's key; empty: none. One of a tenant shadows every tenant's.
Result<std::string> user_of(const Store& store, const std::string& tenant, const std::string& name) {
    const auto machines = decode_records<Machine>(store.scan(kMachineKind, kProfileIndex, group_prefix(name)));
    if (!machines) return fail(machines.error());
    for (const auto& machine : *machines) {
        if (!tenant.empty() && machine.value.tenant != tenant) continue;
        if (tenant.empty()) {
            const auto own = store.get(kProfileKind, profile_key(machine.value.tenant, name));
            if (!own) return fail(own.error());
            if (*own) continue;
        }
        return machine.value.name;
    }
    return std::string();
}

}  // namespace

// An empty name is none.
Result<void> Inventory::check_set(const std::string& name, Transaction& transaction) const {
    if (name.empty()) return {};
    const auto set = store_.get(kArtifactSetKind, name);
    if (!set) return fail(set.error());
    if (!*set) return fail(Code::kNotFound, "no artifact set \"{}\"; see \"show artifacts\"", name);
    const auto known = unchanged(kArtifactSetKind, name, (*set)->revision);
    const bool twice = std::any_of(transaction.compares.begin(), transaction.compares.end(), [&](const auto& compare) {
        return compare.kind == known.kind && compare.key == known.key;
    });
    if (!twice) transaction.compares.push_back(known);
    return {};
}

// An empty name is none.
Result<void> Inventory::check_pool(const std::string& name, const std::string& tenant, Transaction& transaction) const {
    if (name.empty()) return {};
    const auto pool = read_record<PrefixPool>(store_, kPrefixPoolKind, name);
    if (!pool) return fail(pool.error());
    if (!*pool) return fail(Code::kNotFound, "no prefix pool \"{}\"; see \"show pools\"", name);
    const auto& owner = (*pool)->value.tenant;
    if (!owner.empty() && owner != tenant) {
        return fail(Code::kFailedPrecondition, "prefix pool \"{}\" is not for tenant \"{}\"", name, tenant);
    }
    transaction.compares.push_back(unchanged(kPrefixPoolKind, name, (*pool)->revision));
    return {};
}

Awaitable<Result<Revision>> Inventory::put_profile(Profile profile, By by) {
    NETT_CO_TRY(check_profile(profile));
    const auto turn = co_await registrations_.lock();
    Build build = [this, &profile]() -> Result<Transaction> {
        Transaction transaction;
        const auto key = profile_key(profile.tenant, profile.name);
        const auto old = store_.get(kProfileKind, key);
        if (!old) return fail(old.error());
        transaction.compares.push_back(unchanged(kProfileKind, key, *old ? (*old)->revision : 0));
        if (!profile.tenant.empty()) {
            const auto tenant = store_.get(kTenantKind, profile.tenant);
            if (!tenant) return fail(tenant.error());
            if (!*tenant) return fail(Code::kNotFound, "no tenant \"{}\"; see \"show tenants\"", profile.tenant);
            transaction.compares.push_back(unchanged(kTenantKind, profile.tenant, (*tenant)->revision));
        }
        for (const auto* set : {&profile.artifact_set, &profile.rescue_set, &profile.erase_set}) {
            NETT_TRY(check_set(*set, transaction));
        }
        NETT_TRY(check_pool(profile.prefix_pool, profile.tenant, transaction));
        transaction.puts.push_back(put_of(profile));
        return transaction;
    };
    auto committed = co_await transact(by, "put profile", std::move(build));
    if (committed) publish("profile.changed", profile_key(profile.tenant, profile.name), "changed", by);
    co_return committed;
}

Awaitable<Result<Revision>> Inventory::delete_profile(std::string tenant, std::string name, By by) {
    const auto turn = co_await registrations_.lock();
    const auto user = user_of(store_, tenant, name);
    if (!user) co_return fail(user.error());
    if (!user->empty()) {
        co_return fail(Code::kFailedPrecondition, "machine \"{}\" has profile \"{}\"; give it another one first", *user,
                       name);
    }
    co_return co_await remove(kProfileKind, "profile", profile_key(tenant, name), std::move(by));
}

Awaitable<Result<Revision>> Inventory::put_prefix_pool(PrefixPool pool, By by) {
    NETT_CO_TRY(check_prefix_pool(pool));
    const auto turn = co_await registrations_.lock();
    Build build = [this, &pool]() -> Result<Transaction> {
        Transaction transaction;
        const auto pools = read_records<PrefixPool>(store_, kPrefixPoolKind);
        if (!pools) return fail(pools.error());
        Revision now = 0;
        for (const auto& [other, revision] : *pools) {
            if (other.name == pool.name) {
                now = revision;
                const auto given = store_.count(kAllocationKind, kPoolIndex, group_prefix(pool.name));
                if (!given) return fail(given.error());
                const bool holds = pool.prefix.contains(other.prefix) && pool.length == other.length &&
                                   (pool.tenant.empty() || pool.tenant == other.tenant);
                if (*given == 0 || holds) continue;
                return fail(Code::kFailedPrecondition,
                            "{} prefixes of pool \"{}\" are given to machines; it may only grow around {}, in parts of "
                            "/{}",
                            *given, pool.name, other.prefix.to_string(), other.length);
            }
            if (!other.prefix.overlaps(pool.prefix)) continue;
            return fail(Code::kAlreadyExists, "{} overlaps with prefix pool \"{}\" ({})", pool.prefix.to_string(),
                        other.name, other.prefix.to_string());
        }
        transaction.compares.push_back(unchanged(kPrefixPoolKind, pool.name, now));
        transaction.puts.push_back(put_of(pool));
        return transaction;
    };
    co_return co_await transact(std::move(by), "put prefix pool", std::move(build));
}

Awaitable<Result<Revision>> Inventory::delete_prefix_pool(std::string name, By by) {
    const auto turn = co_await registrations_.lock();
    const auto given = store_.count(kAllocationKind, kPoolIndex, group_prefix(name));
    if (!given) co_return fail(given.error());
    if (*given != 0) {
        co_return fail(Code::kFailedPrecondition,
                       "{} prefixes of pool \"{}\" are given to machines; decommission them first", *given, name);
    }
    const auto profiles = read_records<Profile>(store_, kProfileKind);
    if (!profiles) co_return fail(profiles.error());
    for (const auto& profile : *profiles) {
        if (profile.value.prefix_pool != name) continue;
        co_return fail(Code::kFailedPrecondition, "profile \"{}\" has prefix pool \"{}\"; take it away there first",
                       profile.value.name, name);
    }
    co_return co_await remove(kPrefixPoolKind, "prefix pool", std::move(name), std::move(by));
}

Result<std::vector<Stored<Profile>>> Inventory::profiles(const std::string& after, std::size_t limit) const {
    return read_records<Profile>(store_, kProfileKind, after, std::min(limit, kMaxListed));
}

Result<std::vector<PoolView>> Inventory::prefix_pools(const std::string& after, std::size_t limit) const {
    auto pools = read_records<PrefixPool>(store_, kPrefixPoolKind, after, std::min(limit, kMaxListed));
    if (!pools) return fail(std::move(pools.error()));
    std::vector<PoolView> views;
    for (auto& [pool, revision] : *pools) {
        const auto given = store_.count(kAllocationKind, kPoolIndex, group_prefix(pool.name));
        if (!given) return fail(given.error());
        const auto capacity = capacity_of(pool);
        views.push_back({std::move(pool), *given, capacity, revision});
    }
    return views;
}

Result<std::vector<Stored<Allocation>>> Inventory::allocations(const std::string& pool, const std::string& after,
                                                               std::size_t limit) const {
    limit = std::min(limit, kMaxListed);
    if (pool.empty()) return read_records<Allocation>(store_, kAllocationKind, after, limit);
    const auto group = group_prefix(pool);
    return decode_records<Allocation>(
        store_.scan(kAllocationKind, kPoolIndex, group, after.empty() ? "" : group + after, limit));
}

}  // namespace nett
