// FRR's static part of an announcement: how it must look, and what of it is missing in a running configuration. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugins/bgp-anycast/settings.hpp"

namespace nett::anycast {

// Something that frr.conf lacks.
struct FrrFinding {
    bool essential = false;  // without it the address is not announced, or not withdrawn; else only slower or rougher
    std::string missing;     // "neighbor FABRIC prefix-list NETT-ANYCAST out"
    std::string why;         // "without it the gate closes nothing"
    friend bool operator==(const FrrFinding&, const FrrFinding&) = default;
};

// What a running configuration says of this host's BGP; used to make the snippet fit it.
struct FrrFacts {
    std::string as_number;               // "" when there is no router bgp
    std::vector<std::string> neighbors;  // activated for IPv6 unicast; a peer group stands for its members
};

// `running` is the text of "show running-config".
FrrFacts facts_of(std::string_view running);
// Findings in the order of the snippet.
std::vector<FrrFinding> missing_in(std::string_view running, const Settings& settings);

// A configuration that has everything, to be read into vtysh or frr.conf. Names that `facts` does not give are
// examples, and a comment says so.
std::string snippet(const Settings& settings, const FrrFacts& facts);

}  // namespace nett::anycast
