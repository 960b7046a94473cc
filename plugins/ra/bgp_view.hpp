// What bgpd knows that concerns this plugin: which interfaces are the fabric's, and which prefixes others announce.
// Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/ra/allocation.hpp"

namespace nett::ra {

// A covering announcement of a site (RFC 6177) or shorter, up to the default route, is the fabric's own; what is longer
// and overlaps belongs to another switch.
inline constexpr unsigned kSitePrefixLength = 48;

struct LearnedPrefix {
    Prefix6 prefix;
    std::string from;  // "tor-b", "fe80::1"
    friend bool operator==(const LearnedPrefix&, const LearnedPrefix&) = default;
};

struct BgpView {
    std::map<std::string, std::string> neighbours;  // BGP unnumbered: the interface, and the peer-group ("": none)
    std::vector<LearnedPrefix> learned;             // in ascending order
};

// Of `show bgp summary json`: the interfaces of BGP unnumbered neighbours, in no group yet. kDataLoss.
Result<std::map<std::string, std::string>> parse_peers(std::string_view json);
// Of `show bgp peer-group json`: puts the neighbours into their groups. kDataLoss.
Result<void> parse_groups(std::string_view json, std::map<std::string, std::string>& neighbours);
// Of `show bgp ipv6 unicast PREFIX longer-prefixes json`; routes of this switch itself are left out. kDataLoss.
Result<std::vector<LearnedPrefix>> parse_learned(std::string_view json);
// The command, without " json", that shows everything that may overlap the aggregate.
std::string learned_command(const Prefix6& aggregate);

// Sentences about what must not be; empty: nothing.
std::vector<std::string> overlaps(const BgpView& view, const Prefix6& aggregate);
// Interfaces of the neighbours that are no machines.
std::vector<std::string> fabric_ports(const BgpView& view, const Settings& settings);
// Those of `ports` that are among them; none when the settings say that all neighbours on ports are machines.
std::vector<std::string> fabric_ports_among(const BgpView& view, const Settings& settings,
                                            const std::vector<std::string>& ports);

}  // namespace nett::ra
