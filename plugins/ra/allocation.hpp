// Which port has which /64: stable, persisted, never two ports with one prefix. Pure.
//
// A port keeps its index for as long as it has a record, also while it is not configured: the source prefix of a boot
// request says which port a machine is behind, and must not come to mean another one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/ra/settings.hpp"

namespace nett::ra {

// A port's record in the store (kOwnPortKind).
struct PortRecord {
    std::optional<std::uint64_t> index;  // of the aggregate's /64s; none when the prefix was configured
    Prefix6 prefix;
    std::optional<Prefix6> aggregate;  // that the index counts in
    bool active = true;                // configured; nett has put prefix::1 on the port
    bool farewell = false;             // no longer, and zebra may not have ended its farewell yet
    friend bool operator==(const PortRecord&, const PortRecord&) = default;
};
using PortRecords = std::map<std::string, PortRecord>;

std::string to_json(const PortRecord& record);
// kDataLoss when it is not such a record.
Result<PortRecord> parse_port_record(std::string_view json);

// The records as they should be: every port in `ports` active, with the configured prefix or one of the aggregate's;
// all others inactive. Index 0 is given last, so that swp1 gets ":1::/64" on a fresh switch. Inactive ports' indices
// are taken when there are no others, in natural order of the ports. kFailedPrecondition when a configured prefix is
// the derived one of another active port, kResourceExhausted when the aggregate is full.
Result<PortRecords> allocate(const Settings& settings, const std::vector<std::string>& ports, const PortRecords& known);

}  // namespace nett::ra
