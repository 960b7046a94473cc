// The plugin's node as the agent's parser would hand it over, for tests of single commands.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/sdk/config.hpp"

namespace nett::metadata::test {

struct Line {
    std::string id;
    std::map<std::string, std::string, std::less<>> arguments;
};

// The lines stand in nett.conf from line 2 on.
inline ConfigEntry plugin_entry(const std::vector<Line>& lines) {
    ConfigEntry plugin("plugin metadata", "plugin metadata", {}, {"nett.conf", 1}, 0);
    unsigned number = 1;
    for (const auto& line : lines) {
        ++number;
        plugin.children().entries().emplace_back(line.id, line.id, line.arguments, SourceLocation{"nett.conf", number},
                                                 number);
    }
    return plugin;
}

inline std::vector<std::string> texts_of(const std::vector<Diagnostic>& findings) {
    std::vector<std::string> out;
    for (const auto& one : findings) out.push_back(one.to_string());
    return out;
}

}  // namespace nett::metadata::test
