// What nettd knows before anything runs: its plugins, their grammar, and a checked configuration.
#pragma once

#include <string>
#include <vector>

#include "agent/core/config/grammar.hpp"
#include "agent/core/config/parser.hpp"
#include "agent/core/host/loader.hpp"
#include "agent/options.hpp"
#include "agent/sdk/config.hpp"

namespace nett {

struct Setup {
    PluginSet plugins;
    Grammar grammar;
    ParsedConfig config;  // diagnostics of the parser and of every plugin's check
};

// Loads the plugins, reads the file and checks it. An Error is about what keeps it from even being checked: no plugin
// directory, an unreadable file, a plugin with a broken grammar.
Result<Setup> prepare(const Options& options, bool ports_may_be_missing);

// Names of the links that exist now.
std::vector<std::string> interface_names();

}  // namespace nett
