// A configuration text to the ra plugin's node, with the real grammar.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "agent/core/config/grammar.hpp"
#include "agent/core/config/parser.hpp"
#include "plugins/ra/settings.hpp"

namespace nett::ra {

// The node of "plugin ra" followed by `lines`; line 1 is "plugin ra".
inline ConfigEntry plugin_entry(const std::string& lines) {
    static const Grammar grammar = Grammar::build(config_commands()).value();
    ParsedConfig parsed = parse_config(grammar, "plugin ra\n" + lines, "nett.conf");
    for (const Diagnostic& diagnostic : parsed.diagnostics) ADD_FAILURE() << diagnostic.to_string();
    return *parsed.root.find("plugin ra");
}

inline Settings settings(const std::string& lines) {
    return settings_of(plugin_entry(lines).children());
}

inline Prefix6 prefix(const char* text) {
    return Prefix6::parse(text).value();
}

}  // namespace nett::ra
