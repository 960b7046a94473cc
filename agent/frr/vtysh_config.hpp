// Router advertisements and prefix lists as FRR's configuration text, for the vtysh backend. Pure.
//
// What is written goes through mgmtd (advertisements) and bgpd (prefix lists) as one transaction each; what is read
// back is `show running-config` of mgmtd, which has zebra's interfaces from FRR 10.0 on, and bgpd's prefix lists as
// JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/frr/prefix_list.hpp"
#include "agent/frr/ra_plan.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// Interfaces without `ipv6 nd` lines are not in the table. kDataLoss names the line that is not understood.
Result<RaTable> parse_running_config(std::string_view text);
// What to feed to vtysh; `actual` is what was read last, for what has to be taken away. kInvalidArgument for a name
// that FRR's parser would take apart.
Result<std::vector<std::string>> config_lines(const RaChange& change, const RaTable& actual);

// Adds the entries of `show ipv6 prefix-list NAME json`, asked of bgpd alone. kDataLoss.
Result<void> parse_shown_prefix_list(std::string_view json, const std::string& list, PrefixListTable& table);
Result<std::vector<std::string>> config_lines(const PrefixListChange& change);

// What a daemon refused, in its own words on one line; "" when it took everything.
std::string refusal_of(std::string_view output);

}  // namespace nett
