#include "agent/core/host/loader.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include <dlfcn.h>

#include "agent/sdk/build_id.hpp"

namespace nett {

namespace {

constexpr std::size_t kMaxPluginName = 32;  // a word of the shell, and part of a file name

tl::unexpected<Error> refuse(const std::string& path, Code code, std::string message) {
    return tl::unexpected<Error>(Error{code, std::move(message), path});
}

bool is_plugin_name(std::string_view name) {
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return !name.empty() && name.size() <= kMaxPluginName && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

Result<void> check_descriptor(const PluginDescriptor& plugin, const std::string& path) {
    // In this order: nothing behind a field may be read before the field says that it is what we think.
    if (plugin.magic != kPluginMagic) {
        return refuse(path, Code::kInvalidArgument,
                      "its descriptor does not begin with nett's magic: not a nett plugin");
    }
    if (plugin.abi_version != kPluginAbiVersion) {
        return refuse(path, Code::kFailedPrecondition,
                      fmt::format("it has plugin ABI version {}, this nettd has {}: install the plugin package of this "
                                  "nettd's version",
                                  plugin.abi_version, kPluginAbiVersion));
    }
    if (plugin.build_id == nullptr || std::string_view(plugin.build_id) != kBuildId) {
        return refuse(path, Code::kFailedPrecondition,
                      fmt::format("it was built as {}, this nettd as {}: install packages of one version",
                                  plugin.build_id == nullptr ? "(none)" : plugin.build_id, kBuildId));
    }
    if (plugin.name == nullptr || !is_plugin_name(plugin.name)) {
        return refuse(path, Code::kInvalidArgument, "its name is not a plugin name (a-z, 0-9 and \"-\")");
    }
    if (plugin.version == nullptr || plugin.summary == nullptr || plugin.config_commands == nullptr ||
        plugin.validate == nullptr || plugin.create == nullptr) {
        return refuse(path, Code::kInvalidArgument,
                      fmt::format("plugin \"{}\" leaves a member of its descriptor empty", plugin.name));
    }
    return {};
}

}  // namespace

Result<LoadedPlugin> load_plugin(const std::string& path) {
    // RTLD_NODELETE: coroutine frames, vtables and static strings of a plugin may be reachable until the process ends.
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
        return refuse(path, Code::kInvalidArgument, fmt::format("cannot be loaded: {}", ::dlerror()));
    }
    const auto* descriptor = static_cast<const PluginDescriptor*>(::dlsym(handle, kPluginSymbol));
    if (descriptor == nullptr) {
        return refuse(path, Code::kInvalidArgument, fmt::format("exports no \"{}\": not a nett plugin", kPluginSymbol));
    }
    NETT_TRY(check_descriptor(*descriptor, path));
    return LoadedPlugin{descriptor, path, reinterpret_cast<CleanupFunction>(::dlsym(handle, kCleanupSymbol))};
}

Result<PluginSet> load_plugins(const std::string& directory) {
    std::error_code error;
    std::vector<std::string> paths;
    for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
        const auto name = it->path().filename().string();
        if (name.starts_with("nett-") && name.ends_with(".so")) paths.push_back(it->path().string());
    }
    if (error) {
        return fail(
            Error{Code::kNotFound, fmt::format("the plugin directory cannot be read: {}", error.message()), directory});
    }
    std::sort(paths.begin(), paths.end());
    PluginSet set;
    for (const auto& path : paths) {
        auto loaded = load_plugin(path);
        if (!loaded) {
            set.refused.push_back(std::move(loaded.error()));
            continue;
        }
        const std::string_view name = loaded->descriptor->name;
        const auto same = std::find_if(set.plugins.begin(), set.plugins.end(),
                                       [&](const auto& other) { return name == other.descriptor->name; });
        if (same != set.plugins.end()) {
            set.refused.push_back(Error{Code::kAlreadyExists,
                                        fmt::format("a plugin \"{}\" was already loaded from {}", name, same->path),
                                        path});
            continue;
        }
        set.plugins.push_back(std::move(*loaded));
    }
    std::sort(set.plugins.begin(), set.plugins.end(),
              [](const auto& a, const auto& b) { return std::string_view(a.descriptor->name) < b.descriptor->name; });
    return set;
}

}  // namespace nett
