// The records that say which prefix a switch port advertises to the machine behind it. The plugin `ra` writes those of
// this host's own ports, the agent those that other switches report over mutual TLS; both have a member "prefix".
#pragma once

#include <optional>
#include <string_view>

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// Key: the port's name ("swp7"), value {"prefix": "2001:db8:b000:7::/64", "active": true, …}.
inline constexpr std::string_view kOwnPortKind = "ra-port";
// Key: the port's full name ("tor-a/swp7"), value {"prefix": "2001:db8:b000:7::/64"}.
inline constexpr std::string_view kReportedPortKind = "fabric-port";

// nullopt: the port is not in use. kDataLoss names a record that is none of these.
Result<std::optional<Prefix6>> port_prefix_of(const Record& record);

}  // namespace nett
