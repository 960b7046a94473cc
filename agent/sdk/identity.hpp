// How machines are named: SMBIOS UUIDs and MAC addresses in every usual spelling, in one canonical form each.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett {

// Names of records: [a-z0-9][a-z0-9.-]*, at most kMaxName. `what` is for the message: "machine".
inline constexpr std::size_t kMaxName = 63;  // a DNS label (RFC 1035 section 2.3.4): names become host names
Result<void> check_name(std::string_view what, std::string_view name);

// "8-4-4-4-12" lower case, as Linux' product_uuid and iPXE's ${uuid} print it (SMBIOS 3.x section 7.2.1, RFC 4122
// text).
Result<std::string> canonical_uuid(std::string_view text);
// aa:bb:cc:dd:ee:ff from aa:bb…, aa-bb…, aabb.ccdd.eeff or bare hex, any case.
Result<std::string> canonical_mac(std::string_view text);

// UUIDs that many machines share count as none: all zero, all F, and vendor defaults known from the field.
bool is_usable_uuid(std::string_view canonical);

// SMBIOS serial numbers that many boards carry ("Default string", "To be filled by O.E.M.", zeros) find no machine.
bool is_usable_serial(std::string_view serial);

// The {id} of a boot URL: a UUID or a MAC, told apart by shape.
struct MachineId {
    std::optional<std::string> uuid;  // canonical and usable
    std::optional<std::string> mac;   // canonical
};
Result<MachineId> parse_machine_id(std::string_view text);

}  // namespace nett
