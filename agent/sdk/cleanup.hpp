// What of a plugin must not outlive the agent, told from its configuration alone: for `nettd --withdraw`, which systemd
// runs after the agent has ended, however it ended (ExecStopPost=).
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/frr.hpp"

namespace nett {

struct Cleanup {
    struct Address {
        std::string interface;
        InterfaceAddress address;
    };
    std::vector<Address> addresses;        // removed
    std::vector<PrefixListEntry> entries;  // put into bgpd as they are
};

// A plugin that leaves such a thing exports this besides its descriptor. `plugin` is its configured node; pure.
using CleanupFunction = void (*)(const ConfigNode& plugin, Cleanup& cleanup);
inline constexpr const char* kCleanupSymbol = "nett_cleanup";

}  // namespace nett
