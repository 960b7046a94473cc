// The bgp-anycast plugin's configuration: its commands, what they mean, what is refused.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/sdk/cleanup.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/frr.hpp"
#include "plugins/bgp-anycast/check.hpp"
#include "plugins/bgp-anycast/decision.hpp"

namespace nett::anycast {

// One entry of a prefix list of bgpd that follows the decision.
struct ListEntry {
    std::string list;
    std::uint32_t sequence = 5;
    friend bool operator==(const ListEntry&, const ListEntry&) = default;
};

struct Settings {
    Prefix6 address;        // a /128
    std::string interface;  // an existing one; empty: a TUN device of the agent's own
    std::string tun_device = "nett-anycast";
    std::chrono::seconds lease{3};
    std::optional<ListEntry> gate = ListEntry{"NETT-ANYCAST", 5};  // permits the announcement
    std::optional<ListEntry> drain =
        ListEntry{"NETT-DRAIN", 5};  // its match makes the announcement carry GRACEFUL_SHUTDOWN
    std::chrono::milliseconds drain_time{2000};
    std::set<std::string> required;  // health components; empty: all with local conditions
    std::chrono::milliseconds check_interval{500};
    int rise = 2;  // looks at the registry in a row before its conditions count as good
    int fall = 2;  // … as failed
    HoldDown hold_down;
    bool dry_run = false;  // decide and say so, touch neither kernel nor FRR
    std::vector<CheckSettings> checks;
};

std::vector<ConfigCommand> config_commands();
// Of a node that validate() accepted.
Settings settings_of(const ConfigNode& node);
std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment& environment);

// Carries the address where no TUN device can be had.
inline constexpr const char* kFallbackInterface = "lo";

// What "nettd --withdraw" takes away when the agent is gone.
Cleanup cleanup_of(const ConfigNode& node);

}  // namespace nett::anycast
