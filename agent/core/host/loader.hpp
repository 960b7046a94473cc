// The plugin loader: finds shared objects, checks their descriptors, and keeps them for the life of the process.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/cleanup.hpp"
#include "agent/sdk/plugin.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

struct LoadedPlugin {
    const PluginDescriptor* descriptor = nullptr;  // lives in the shared object, which is never closed
    std::string path;
    CleanupFunction cleanup = nullptr;  // null: nothing of it can outlive the agent
};

// Loads one plugin. Each way of refusing has its own message: not a shared object, no `nett_plugin`, wrong magic,
// another ABI version, another build, a name that is not a plugin's name, a missing function. Errors carry the path as
// context.
Result<LoadedPlugin> load_plugin(const std::string& path);

struct PluginSet {
    std::vector<LoadedPlugin> plugins;  // sorted by name
    std::vector<Error> refused;
};

// Loads every nett-*.so of a directory. Two plugins of one name: the second is refused. kNotFound if the directory
// can't be read.
Result<PluginSet> load_plugins(const std::string& directory);

}  // namespace nett
