// Finds the machine that a request is about, within the bounds of one tenant.
#pragma once

#include <optional>
#include <string>

#include "agent/sdk/address.hpp"
#include "agent/sdk/identity.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"

namespace nett::metadata {

struct FoundMachine {
    std::string key;     // of its record
    std::string url_id;  // the id that found it, as it stands in URLs: the UUID, or the MAC with hyphens
    Machine machine;
};

// By UUID, else by MAC. A machine of another tenant is not there: nullopt, as for one that nobody registered.
Result<std::optional<FoundMachine>> find_machine(const Store& store, const std::string& tenant, const MachineId& id);

// Whether requests from `source` may be about this machine: any source without port bindings, else one of their
// prefixes.
bool is_expected_source(const Machine& machine, const Address6& source);

}  // namespace nett::metadata
