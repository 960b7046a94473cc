// Which server drives a BMC, when several share their state: one, whose claim is a record. A job's steps are committed
// under a comparison of that record, so an agent that lost its claim (it was frozen, or cut off) cannot commit its next
// step, and does not do what it did not commit.
#pragma once

#include <optional>
#include <string>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"

namespace nett::redfish {

inline constexpr std::string_view kBmcOwnerKind = "bmc-owner";  // key: the BMC's endpoint, "[2001:db8::b]:443"

// What keeps a claim: to be compared with every change that depends on it. nullopt: nobody else can drive the BMC,
// because the state is this server's own.
using Fence = std::optional<Transaction::Compare>;

// Claims the BMC for the server `self`, or finds that it has it. A claim is kept while its server lives; a dead one's
// is taken over. kFailedPrecondition: another server has it. Other errors: the store's.
Awaitable<Result<Fence>> claim_bmc(Store& store, std::string self, std::string endpoint);

// Whether the claim still stands, as far as this server's copy knows.
Result<bool> holds(const Store& store, const Fence& fence);

}  // namespace nett::redfish
