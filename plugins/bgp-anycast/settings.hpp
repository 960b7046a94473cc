// The bgp-anycast plugin's configuration: its commands, what they mean, what is refused.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/sdk/config.hpp"
#include "agent/sdk/frr.hpp"

namespace nett::anycast {

struct Gate {
    std::string list;
    std::uint32_t sequence = 5;
    friend bool operator==(const Gate&, const Gate&) = default;
};

struct Settings {
    Prefix6 address;  // a /128
    std::string interface = "lo";
    std::chrono::seconds lease{3};
    std::optional<Gate> gate;
    std::set<std::string> required;  // health components; empty: all with local conditions
    std::chrono::milliseconds check_interval{500};
    int rise = 2;  // checks in a row before it is announced
    int fall = 2;  // checks in a row before it is withdrawn
};

std::vector<ConfigCommand> config_commands();
// Of a node that validate() accepted.
Settings settings_of(const ConfigNode& node);
std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment& environment);

}  // namespace nett::anycast
