// A configuration text to the bgp-anycast plugin's node, with the real grammar.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "agent/core/config/grammar.hpp"
#include "agent/core/config/parser.hpp"
#include "plugins/bgp-anycast/settings.hpp"

namespace nett::anycast {

// The node of "plugin bgp-anycast" followed by `lines`; line 1 is "plugin bgp-anycast".
inline ConfigEntry plugin_entry(const std::string& lines) {
    static const Grammar grammar = Grammar::build(config_commands()).value();
    ParsedConfig parsed = parse_config(grammar, "plugin bgp-anycast\n" + lines, "nett.conf");
    for (const Diagnostic& diagnostic : parsed.diagnostics) ADD_FAILURE() << diagnostic.to_string();
    return *parsed.root.find("plugin bgp-anycast");
}

inline Settings settings(const std::string& lines) {
    return settings_of(plugin_entry(lines).children());
}

}  // namespace nett::anycast
