// The plugin's operational commands.
#pragma once

#include <vector>

#include "agent/sdk/command.hpp"
#include "plugins/bgp-anycast/service.hpp"

namespace nett::anycast {

// Bound to `service`, which must outlive them; each refuses while it is not running.
std::vector<OpCommand> commands_of(Service& service);

}  // namespace nett::anycast
