#include "agent/sdk/prefixes.hpp"

#include <algorithm>

namespace nett {

namespace {

constexpr unsigned kAddressLength = 128;

std::uint64_t first_index(const PrefixPool& pool) {
    return pool.length == kAddressLength && pool.prefix.length() < kAddressLength ? 1 : 0;
}

// FNV-1a, 64 bits: the same on every host and in every version.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3ULL;
    }
    return hash;
}

tl::unexpected<Error> exhausted(const PrefixPool& pool) {
    return fail(
        Code::kResourceExhausted,
        "prefix pool \"{}\" is exhausted: all {} /{} of {} are given; enlarge it, or decommission machines that "
        "are gone",
        pool.name, capacity_of(pool), pool.length, pool.prefix.to_string());
}

Result<PrefixPool> pool_of(const Store& store, const Machine& machine, Transaction& transaction) {
    auto pool = read_record<PrefixPool>(store, kPrefixPoolKind, machine.production.pool);
    if (!pool) return fail(std::move(pool.error()));
    if (!*pool) return fail(Code::kNotFound, "no prefix pool \"{}\"; see \"show pools\"", machine.production.pool);
    const auto& found = (*pool)->value;
    if (!found.tenant.empty() && found.tenant != machine.tenant) {
        return fail(Code::kFailedPrecondition, "prefix pool \"{}\" is not for machines of tenant \"{}\"", found.name,
                    machine.tenant);
    }
    transaction.compares.push_back(unchanged(kPrefixPoolKind, found.name, (*pool)->revision));
    return found;
}

}  // namespace

std::uint64_t capacity_of(const PrefixPool& pool) {
    const auto all = pool.prefix.count(pool.length);
    return all - std::min(all, first_index(pool));
}

Result<Prefix6> next_free(const PrefixPool& pool, std::string_view machine, const IsTaken& taken) {
    const auto capacity = capacity_of(pool);
    if (capacity == 0) return exhausted(pool);
    const auto start = hash_of(machine) % capacity;
    for (std::uint64_t i = 0; i < capacity; ++i) {
        const auto candidate = pool.prefix.subnet(first_index(pool) + (start + i) % capacity, pool.length);
        const auto used = taken(candidate);
        if (!used) return fail(used.error());
        if (!*used) return candidate;
    }
    return exhausted(pool);
}

Result<void> allocate_prefix(const Store& store, Machine& machine, SystemTime now, Transaction& transaction) {
    if (machine.production.mode != ProductionMode::kPool || !machine.production.prefix.empty()) return {};
    const auto pool = pool_of(store, machine, transaction);
    if (!pool) return fail(pool.error());
    const auto given = store.count(kAllocationKind, kPoolIndex, group_prefix(pool->name));
    if (!given) return fail(given.error());
    // Without this, every boot of a machine that gets none would look at every prefix of the pool.
    if (*given >= capacity_of(*pool)) return exhausted(*pool);
    const auto prefix = next_free(*pool, machine.name, [&](const Prefix6& candidate) -> Result<bool> {
        const auto text = candidate.to_string();
        const auto allocated = store.find(kAllocationKind, kPrefixIndex, text);
        if (!allocated) return fail(allocated.error());
        const auto used = store.find(kMachineKind, kProductionIndex, text);  // static or NetBox's
        if (!used) return fail(used.error());
        return allocated->has_value() || used->has_value();
    });
    if (!prefix) return fail(prefix.error());
    const Allocation allocation{pool->name, machine.name, *prefix, now};
    transaction.compares.push_back(unchanged(kAllocationKind, allocation_key(pool->name, machine.name), 0));
    transaction.puts.push_back(put_of(allocation));
    machine.production.prefix = prefix->to_string();
    return {};
}

void release_prefix(Machine& machine, Transaction& transaction) {
    if (machine.production.mode != ProductionMode::kPool || machine.production.prefix.empty()) return;
    transaction.deletes.push_back(
        {std::string(kAllocationKind), allocation_key(machine.production.pool, machine.name)});
    machine.production.prefix.clear();
}

}  // namespace nett
