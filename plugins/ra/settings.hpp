// The ra plugin's configuration: its commands, and what they mean.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/config.hpp"
#include "agent/sdk/frr.hpp"
#include "agent/sdk/strings.hpp"

namespace nett::ra {

// SLAAC takes exactly this (RFC 4862 section 5.5.3 d with 64-bit interface identifiers).
inline constexpr unsigned kPortPrefixLength = 64;

// As in the snippets for frr.conf.
inline constexpr const char* kMachineGroup = "MACHINES";

// kL3Port: every port is a link of its own with a prefix of its own. kBridge: one interface, a bridge, a VLAN's SVI or
// the gateway's NIC in an L2 plane, is the router of everything behind it and has one prefix.
enum class Mode { kL3Port, kBridge };

// What the advertisements of a port say besides its prefix.
struct Advertisement {
    RaInterface interface;  // no name, no prefixes
    RaPrefix lifetimes;     // of the port's prefix
};

struct Settings {
    // bgpd's peer-group whose BGP unnumbered neighbours are machines; every other neighbour is the fabric's.
    std::string machine_group = kMachineGroup;
    bool machine_bgp = false;  // every BGP unnumbered neighbour on a port is a machine, in whatever group
    Mode mode = Mode::kL3Port;
    bool withdraw_on_stop = false;
    std::optional<Prefix6> aggregate;
    std::vector<std::string> ranges;           // "swp1-48": ports whose prefix is derived from the aggregate
    std::map<std::string, Prefix6> overrides;  // ports with a prefix of their own, in a range or not
    Advertisement shared;
    std::map<std::string, Advertisement> special;  // of ports with a node of their own: `shared`, but for what it says

    const Advertisement& advertisement_of(const std::string& port) const;
};

std::vector<ConfigCommand> config_commands();

// Of a node that the grammar accepted.
Settings settings_of(const ConfigNode& node);

// Configured ports among `existing`, in natural order, without duplicates.
std::vector<std::string> matching_ports(const Settings& settings, const std::vector<std::string>& existing);

// The descriptor's validate(). Pure.
std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment& environment);

}  // namespace nett::ra
