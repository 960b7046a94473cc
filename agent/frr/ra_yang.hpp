// Router advertisements as YANG data: frr-interface.yang + frr-zebra.yang, JSON as of RFC 7951. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/frr/ra_plan.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

inline constexpr std::string_view kInterfaceLibPath = "/frr-interface:lib";

// What CONFIG Get of kInterfaceLibPath answers (defaults left out); interfaces without RA configuration are not in the
// table. kDataLoss when it is not what the schema says.
Result<RaTable> parse_ra(std::string_view json);

// What to merge: the complete RA container of each interface in change.put. "" when there is nothing to merge.
std::string merge_json(const RaChange& change);
// Data paths to delete before the merge.
std::vector<std::string> delete_paths(const RaChange& change);

}  // namespace nett
