// Finds the machine that a request is about, within the bounds of one tenant.
#pragma once

#include <optional>
#include <string>

#include "agent/sdk/address.hpp"
#include "agent/sdk/identity.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/route.hpp"

namespace nett::metadata {

struct FoundMachine {
    std::string key;     // of its record
    std::string url_id;  // an id of it, as it stands in URLs: a UUID, or a MAC with hyphens
    Machine machine;
    Revision revision = 0;  // of its record
};

// By UUID (in either byte order: SMBIOS stores its first three fields little-endian, and some firmware and BMCs print
// them as they are stored), else by MAC, else by serial number. A machine of another tenant is not there: nullopt, as
// for one that nobody registered, and after as much work.
Result<std::optional<FoundMachine>> find_machine(const Store& store, const std::string& tenant, const AskedId& asked);

// The UUID with its first three fields byte-swapped (SMBIOS 3.x section 7.2.1). Takes a canonical one.
std::string swapped_uuid(const std::string& canonical);

// The binding that a request from `source` fits: its prefix has the source, or, where it names none, `port` (which has
// the source according to its switch; or empty) is its port. nullptr: none.
const PortBinding* fitting_port(const Machine& machine, const Address6& source, const std::string& port);
// Whether such requests may be about this machine: any without port bindings, else those that fit one.
bool is_expected_source(const Machine& machine, const Address6& source, const std::string& port);

}  // namespace nett::metadata
