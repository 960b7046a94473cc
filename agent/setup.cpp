#include "agent/setup.hpp"

#include <algorithm>
#include <climits>
#include <iterator>

#include <net/if.h>

#include "agent/core/host/plugin_manager.hpp"
#include "agent/core/host/root_commands.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

// A configuration that names each of 512 ports with overrides is about 40 KB.
constexpr std::size_t kMaxConfigFile = 4U << 20U;

Result<Grammar> build_grammar(const std::vector<LoadedPlugin>& plugins) {
    auto commands = root_commands();
    for (const auto& plugin : plugins) {
        auto own = plugin.descriptor->config_commands();
        std::move(own.begin(), own.end(), std::back_inserter(commands));
    }
    return Grammar::build(std::move(commands));
}

// The parser's findings and the plugins' as one reads the file; what has no line comes last.
void sort_by_line(std::vector<Diagnostic>& findings) {
    const auto line = [](const Diagnostic& finding) { return finding.where.line == 0 ? UINT_MAX : finding.where.line; };
    std::stable_sort(findings.begin(), findings.end(), [&](const auto& a, const auto& b) { return line(a) < line(b); });
}

}  // namespace

std::vector<std::string> interface_names() {
    std::vector<std::string> names;
    struct if_nameindex* list = ::if_nameindex();
    if (list == nullptr) return names;
    for (const auto* entry = list; entry->if_index != 0; ++entry) names.emplace_back(entry->if_name);
    ::if_freenameindex(list);
    return names;
}

Result<Setup> prepare(const Options& options, bool ports_may_be_missing) {
    auto plugins = load_plugins(options.plugin_directory);
    if (!plugins) return fail(std::move(plugins.error()));
    auto grammar = build_grammar(plugins->plugins);
    if (!grammar) return fail(std::move(grammar.error()));
    auto text = read_file(options.config, kMaxConfigFile);
    if (!text) return fail(std::move(text.error()));
    auto config = parse_config(*grammar, *text, options.config);
    auto findings = PluginManager::validate(plugins->plugins, config.root, {interface_names(), ports_may_be_missing});
    std::move(findings.begin(), findings.end(), std::back_inserter(config.diagnostics));
    for (auto& finding : validate_root(config.root)) config.diagnostics.push_back(std::move(finding));
    sort_by_line(config.diagnostics);
    return Setup{std::move(*plugins), std::move(*grammar), std::move(config)};
}

}  // namespace nett
