// `nettd --print-commands`: the configuration commands of the agent and of the plugins that are installed, as JSON.
#pragma once

#include "agent/options.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// An array on standard output, in the order of `show running-config`: {"plugin", "node", "pattern", "help", "tokens":
// [{"token", "help"}], "keys", "enters", "default"}; "plugin" is empty for the agent's own. Needs no configuration. The
// exit status.
int print_commands(const Options& options);

}  // namespace nett
