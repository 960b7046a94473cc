// Tenants' rules that accept unknown machines by themselves.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/records.hpp"

namespace nett {

// The key of an unknown machine's record, "<tenant>/<id>": what one tenant's certificates say about an id is never
// another tenant's entry. The index finds the records of an id; its values are "<id>/<key>".
std::string unknown_machine_key(std::string_view tenant, std::string_view id);
inline constexpr std::string_view kUnknownIdIndex = "id";

// The tenant's first rule that fits what the machine said about itself; nullptr: none. Pure.
const AutoEnrolRule* matching_rule(const Tenant& tenant, const UnknownMachine& seen);

// The machine that the rule makes of it, in state New and without a config. kInvalidArgument: the rule's pattern gives
// no name, e.g. it says {serial} and the machine has none. Pure.
Result<Machine> enrolled_machine(const Tenant& tenant, const AutoEnrolRule& rule, const UnknownMachine& seen);

// kResourceExhausted when the tenant has as many machines as its quota allows. Reads an index.
Result<void> check_quota(const Store& store, const Tenant& tenant);

// Registers an unknown machine if a rule of its tenant (seen.tenant) says so; durable when it returns. nullopt: no rule
// fits. kAlreadyExists: its name, UUID or a MAC is another machine's. kResourceExhausted: the quota. Publishes
// "machine.registered".
Awaitable<Result<std::optional<Stored<Machine>>>> auto_enrol(Store& store, EventBus& events, const Clock& clock,
                                                             UnknownMachine seen, std::string actor);

}  // namespace nett
