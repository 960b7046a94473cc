// Which port has which prefix and which machine: one table from what several places know. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/fabric/view.hpp"
#include "agent/sdk/net.hpp"

namespace nett {

// One of this host's own ports.
struct OwnPort {
    std::string name;  // "tor-a/swp7"
    Prefix6 prefix;
    std::string link;  // "up", "down", "absent"
    std::string mac;
    std::vector<Neighbour> neighbours;  // without multicast
};

// What the state file knows of a machine, as far as it says where the machine is.
struct KnownMachine {
    std::string name;
    std::vector<std::string> macs;
    struct Binding {
        std::string port;
        Prefix6 prefix;  // length 0: the port's own
    };
    std::vector<Binding> bindings;
    std::string production;   // prefix text, or empty
    std::string boot_source;  // address that it booted from last, or empty
};

struct PortRow {
    std::string port;
    std::string prefix;  // empty: nobody told
    std::string link = "-";
    std::string mac;
    std::vector<Neighbour> neighbours;
    std::string machine;  // empty: unknown
    // How that is known, best first: "production" (it announces its production prefix there), "neighbour" (its MAC
    // address is there), "boot" (it booted from there last), "binding" (it is expected there).
    std::string known_by;
    std::vector<std::string> announced;
    std::string origin;  // who reported that
};

// In natural order of the ports. `reported` are those of other switches.
std::vector<PortRow> port_table(const std::vector<OwnPort>& own, const std::vector<KnownMachine>& machines,
                                const std::map<std::string, FabricOrigin>& origins,
                                const std::vector<ReportedPort>& reported = {});

}  // namespace nett
