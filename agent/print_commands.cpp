#include "agent/print_commands.hpp"

#include <cstdio>
#include <cstdlib>

#include <boost/json.hpp>

#include "agent/core/host/loader.hpp"
#include "agent/core/host/root_commands.hpp"

namespace nett {

namespace {

namespace json = boost::json;

void add(json::array& out, const std::string& plugin, const std::vector<ConfigCommand>& commands) {
    for (const auto& command : commands) {
        json::array tokens;
        for (const auto& token : command.tokens) tokens.push_back({{"token", token.token}, {"help", token.help}});
        out.push_back({{"plugin", plugin},
                       {"node", command.node},
                       {"pattern", command.pattern},
                       {"help", command.help},
                       {"tokens", std::move(tokens)},
                       {"keys", json::value_from(command.keys)},
                       {"enters", command.enters},
                       {"default", command.default_text}});
    }
}

}  // namespace

int print_commands(const Options& options) {
    const auto plugins = load_plugins(options.plugin_directory);
    if (!plugins) {
        std::fprintf(stderr, "nettd: %s\n", plugins.error().to_string().c_str());
        return EXIT_FAILURE;
    }
    for (const auto& refused : plugins->refused) {
        std::fprintf(stderr, "plugin refused: %s\n", refused.to_string().c_str());
    }
    json::array out;
    add(out, "", root_commands());
    for (const auto& plugin : plugins->plugins) add(out, plugin.descriptor->name, plugin.descriptor->config_commands());
    std::printf("%s\n", json::serialize(out).c_str());
    return plugins->refused.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace nett
