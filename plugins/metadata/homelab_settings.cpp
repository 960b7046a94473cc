#include "plugins/metadata/homelab_settings.hpp"

namespace nett::metadata {

namespace {

constexpr const char* kNode = "metadata";
constexpr const char* kListen = "homelab listen";
constexpr const char* kListenGlobal = "homelab listen-global";

void check_listen(const ConfigEntry& plugin, const ConfigEntry& entry, std::vector<Diagnostic>& findings) {
    const auto endpoint = parse_homelab_endpoint(entry.arg("endpoint"));
    if (!endpoint) {
        findings.push_back(error_at(entry, endpoint.error().message));
        return;
    }
    if (entry.id() == kListen && is_global(endpoint->address().to_v6())) {
        findings.push_back(
            error_at(entry, fmt::format("{} can be reached from outside a home's network, and this listener hands out "
                                        "machine configs without asking who is there; use a private address, or write "
                                        "\"{} {}\"",
                                        entry.arg("endpoint"), kListenGlobal, entry.arg("endpoint"))));
    }
    for (const auto* id : {"listen", "media listen"}) {
        for (const auto* other : plugin.children().all(id)) {
            if (other->endpoint("endpoint") != *endpoint) continue;
            findings.push_back(error_at(entry, fmt::format("\"{}\" has this address and port already", id)));
        }
    }
}

}  // namespace

std::vector<ConfigCommand> homelab_commands() {
    const TokenHelp endpoint{"endpoint", "e.g. 192.168.0.66:8080 or [fd00::1]:8080"};
    std::vector<ConfigCommand> commands;
    commands.push_back({kNode,
                        std::string(kListen) + " {endpoint:word}",
                        "Plain HTTP for machines that boot by PXE, on a private address",
                        {endpoint},
                        {"endpoint"},
                        {},
                        "off"});
    commands.push_back({kNode,
                        std::string(kListenGlobal) + " {endpoint:word}",
                        "The same on an address that others may reach: configs are readable by all who do",
                        {endpoint},
                        {"endpoint"},
                        {},
                        "off"});
    commands.push_back(
        {kNode, "homelab tenant {name:word}", "Whose machines boot by it", {{"name", "see \"show tenants\""}}});
    return commands;
}

std::vector<Diagnostic> validate_homelab(const ConfigEntry& plugin) {
    std::vector<Diagnostic> findings;
    const auto& node = plugin.children();
    const ConfigEntry* first = nullptr;
    for (const auto* id : {kListen, kListenGlobal}) {
        for (const auto* entry : node.all(id)) {
            check_listen(plugin, *entry, findings);
            if (first == nullptr) first = entry;
        }
    }
    if (first != nullptr && !node.has("homelab tenant")) {
        findings.push_back(error_at(*first, "\"homelab tenant\" is missing; add e.g. \"homelab tenant home\""));
    }
    return findings;
}

HomelabSettings homelab_settings_of(const ConfigNode& node) {
    HomelabSettings settings;
    for (const auto* id : {kListen, kListenGlobal}) {
        for (const auto* entry : node.all(id)) {
            settings.listen.push_back(parse_homelab_endpoint(entry->arg("endpoint")).value());
        }
    }
    settings.tenant = node.text("homelab tenant", "name", "");
    return settings;
}

}  // namespace nett::metadata
