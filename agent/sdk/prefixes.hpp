// Production prefixes out of pools (document, section 10.2): stable for a machine until it is decommissioned or
// deleted.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "agent/sdk/records.hpp"

namespace nett {

// How many prefixes a pool has to give, saturating at 2^32. Addresses (/128) leave out the pool's first one: it is the
// subnet-router anycast address (RFC 4291 section 2.6.1).
std::uint64_t capacity_of(const PrefixPool& pool);

// A free prefix of the pool for a machine. The search starts at a place that the machine's name decides, so that two
// machines at their first boot seldom want the same one, and a prefix that was given back is seldom given out at once
// to another machine, while its former owner may still announce it. Pure, but for what `taken` does. kResourceExhausted
// names the pool.
using IsTaken = std::function<Result<bool>(const Prefix6&)>;
Result<Prefix6> next_free(const PrefixPool& pool, std::string_view machine, const IsTaken& taken);

// First boot: gives a machine whose mode is kPool, and that has no prefix yet, one of its pool; writes it into
// `machine` and adds the allocation and its compares to `transaction`, which the caller completes with the machine.
// Does nothing for other machines. When commit() says kAborted or kAlreadyExists, another machine was faster: start
// again from reading the machine. kNotFound, kFailedPrecondition: no such pool, another tenant's. kResourceExhausted:
// names the pool.
Result<void> allocate_prefix(const Store& store, Machine& machine, SystemTime now, Transaction& transaction);

// Gives it back: a machine whose mode is kPool has no prefix after this.
void release_prefix(Machine& machine, Transaction& transaction);

}  // namespace nett
