// One deliberately broken plugin per way of being refused; BREAK_… chooses.
#include "agent/sdk/build_id.hpp"
#include "agent/sdk/plugin.hpp"

namespace {

using namespace nett;

std::vector<ConfigCommand> commands() {
    return {{"", "plugin broken", "A test plugin", {}, {}, "broken", {}}};
}

std::vector<Diagnostic> validate(const ConfigEntry&, const CheckEnvironment&) {
    return {};
}

std::unique_ptr<Plugin> create(const Host&) {
    return nullptr;
}

}  // namespace

#if !defined(BREAK_SYMBOL)
extern "C" const PluginDescriptor nett_plugin = {
#if defined(BREAK_MAGIC)
    .magic = 1,
#else
    .magic = kPluginMagic,
#endif
#if defined(BREAK_ABI)
    .abi_version = kPluginAbiVersion + 1,
#else
    .abi_version = kPluginAbiVersion,
#endif
#if defined(BREAK_BUILD)
    .build_id = "another build",
#else
    .build_id = kBuildId,
#endif
#if defined(BREAK_NAME)
    .name = "Broken Plugin",
#else
    .name = "broken",
#endif
    .version = kVersion,
    .summary = "A test plugin",
    .config_commands = commands,
#if defined(BREAK_MEMBER)
    .validate = nullptr,
#else
    .validate = validate,
#endif
    .create = create,
};
#else
extern "C" {
int something_else = sizeof(&commands) + sizeof(&validate) + sizeof(&create);
}
#endif
