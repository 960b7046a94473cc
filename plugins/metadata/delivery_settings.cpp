#include "plugins/metadata/delivery_settings.hpp"

#include <algorithm>
#include <chrono>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr const char* kNode = "metadata";

// A source is behind one port.
void check_ports(const ConfigEntry& plugin, std::vector<Diagnostic>& findings) {
    const auto ports = plugin.children().all("port prefix");
    for (const auto* one : ports) {
        for (const auto* other : ports) {
            if (other == one) break;
            const auto a = one->prefix("prefix");
            const auto b = other->prefix("prefix");
            if (!a.contains(b.address()) && !b.contains(a.address())) continue;
            findings.push_back(
                error_at(*one, fmt::format("{} overlaps {} of port {}; every port has a prefix of its own",
                                           a.to_string(), b.to_string(), other->arg("name"))));
        }
    }
}

}  // namespace

std::vector<ConfigCommand> delivery_commands() {
    std::vector<ConfigCommand> commands;
    commands.push_back({kNode,
                        "config-image {compression:choice:xz|zstd}",
                        "Compression of the image that carries an embedded config",
                        {{"compression", "xz is smaller, zstd is faster"}},
                        {},
                        {},
                        "xz"});
    commands.push_back({kNode,
                        "token-listen {endpoint:endpoint6}",
                        "An address and port where Talos fetches its config with a boot token, without a certificate",
                        {{"endpoint", "e.g. [2001:db8:ffff::1]:8444"}},
                        {"endpoint"},
                        {},
                        "none: delivery \"token\" is off"});
    commands.push_back({kNode,
                        "token-lifetime {seconds:int:60..86400}",
                        "How long after its boot script a token may be used",
                        {{"seconds", "60..86400"}},
                        {},
                        {},
                        std::to_string(kDefaultTokenLifetimeSeconds)});
    commands.push_back({kNode,
                        "port {name:word} prefix {prefix:prefix6}",
                        "The prefix that is advertised at a switch port, to tell where unknown machines are",
                        {{"name", "switch/port, e.g. tor-a/swp7"}, {"prefix", "e.g. 2001:db8:b000:7::/64"}},
                        {"name"}});
    return commands;
}

std::vector<Diagnostic> check_delivery(const ConfigEntry& plugin) {
    std::vector<Diagnostic> findings;
    const auto listeners = plugin.children().all("listen");
    for (const auto* tokens : plugin.children().all("token-listen")) {
        const bool taken = std::any_of(listeners.begin(), listeners.end(), [&](const auto* one) {
            return one->endpoint("endpoint") == tokens->endpoint("endpoint");
        });
        if (taken) {
            findings.push_back(error_at(
                *tokens, "\"listen\" has this address and port, where clients need a certificate; use another port"));
        }
    }
    check_ports(plugin, findings);
    return findings;
}

void read_delivery(const ConfigNode& node, Settings& settings) {
    for (const auto* entry : node.all("token-listen")) settings.token_listen.push_back(entry->endpoint("endpoint"));
    if (!settings.token_listen.empty()) settings.service.token_port = settings.token_listen.front().port();
    settings.service.token_lifetime =
        std::chrono::seconds(node.integer("token-lifetime", "seconds", kDefaultTokenLifetimeSeconds));
    const bool zstd = node.text("config-image", "compression", "xz") == "zstd";
    settings.service.compression = zstd ? ImageCompression::kZstd : ImageCompression::kXz;
    for (const auto* entry : node.all("port prefix")) {
        settings.service.ports.push_back({entry->arg("name"), entry->prefix("prefix")});
    }
}

}  // namespace nett::metadata
