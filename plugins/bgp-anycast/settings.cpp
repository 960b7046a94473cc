#include "plugins/bgp-anycast/settings.hpp"

#include <algorithm>

namespace nett::anycast {
namespace {

constexpr const char* kNode = "bgp-anycast";

ConfigCommand command(std::string pattern, std::string help, std::vector<TokenHelp> tokens,
                      std::vector<std::string> keys = {}, std::string default_text = {}) {
    return {kNode, std::move(pattern),     std::move(help), std::move(tokens), std::move(keys),
            {},    std::move(default_text)};
}

// Names go into data paths of FRR's northbound.
bool is_plain_name(const std::string& name) {
    return std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
}

void check_address(const ConfigEntry& entry, std::vector<Diagnostic>& findings) {
    Prefix6 prefix = entry.prefix("prefix");
    if (prefix.length() != 128) {
        findings.push_back(error_at(
            entry, fmt::format("{} is not one address; write {}/128", prefix.to_string(), prefix.host(1).to_string())));
    } else if (prefix.address().is_multicast() || prefix.address().is_link_local() || prefix.address().is_loopback() ||
               prefix.address().is_unspecified()) {
        findings.push_back(error_at(entry, fmt::format("{} cannot be announced; use a global or unique local address",
                                                       prefix.address().to_string())));
    }
}

}  // namespace

std::vector<ConfigCommand> config_commands() {
    const Settings defaults;
    return {
        {"",
         "plugin bgp-anycast",
         "Announces an address while this server is healthy",
         {{"plugin", "Configure a plugin"}},
         {},
         kNode,
         {}},
        command("address {prefix:prefix6}", "The anycast address", {{"prefix", "A /128"}}),
        command("interface {name:word:@interfaces}", "Interface that carries the address", {{"name", "An interface"}},
                {}, defaults.interface),
        command("lease {seconds:int:2..60}", "Lifetime of the address in the kernel: how long it outlives this agent",
                {{"seconds", "Seconds; refreshed three times as often"}}, {}, "3"),
        command("gate prefix-list {list:word} sequence {number:int:1..4294967295}",
                "Entry of an IPv6 prefix list of bgpd that follows the decision",
                {{"gate", "The fastest way to withdraw"},
                 {"list", "Name of the prefix list"},
                 {"number", "Sequence number of the entry"}},
                {}, "none"),
        command("require {component:word}", "Health component whose local conditions must not fail",
                {{"component", "metadata"}}, {"component"}, "every component that has local conditions"),
        command("check-interval {milliseconds:int:50..60000}", "Time between two looks at the health",
                {{"milliseconds", "Milliseconds"}}, {}, "500"),
        command("rise {checks:int:1..100}", "Good checks in a row before it is announced",
                {{"checks", "Number of checks"}}, {}, "2"),
        command("fall {checks:int:1..100}", "Bad checks in a row before it is withdrawn",
                {{"checks", "Number of checks"}}, {}, "2"),
    };
}

Settings settings_of(const ConfigNode& node) {
    Settings settings;
    if (const ConfigEntry* entry = node.find("address")) settings.address = entry->prefix("prefix");
    settings.interface = node.text("interface", "name", settings.interface);
    settings.lease = std::chrono::seconds(node.integer("lease", "seconds", settings.lease.count()));
    if (const ConfigEntry* entry = node.find("gate prefix-list sequence")) {
        settings.gate = Gate{entry->arg("list"), static_cast<std::uint32_t>(entry->integer("number"))};
    }
    for (const ConfigEntry* entry : node.all("require")) settings.required.insert(entry->arg("component"));
    settings.check_interval =
        std::chrono::milliseconds(node.integer("check-interval", "milliseconds", settings.check_interval.count()));
    settings.rise = static_cast<int>(node.integer("rise", "checks", settings.rise));
    settings.fall = static_cast<int>(node.integer("fall", "checks", settings.fall));
    return settings;
}

std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment& environment) {
    std::vector<Diagnostic> findings;
    const ConfigNode& node = plugin.children();
    if (const ConfigEntry* entry = node.find("address")) {
        check_address(*entry, findings);
    } else {
        findings.push_back(error_at(plugin, "plugin bgp-anycast has no address; add \"address ADDRESS/128\""));
    }
    if (const ConfigEntry* entry = node.find("interface")) {
        const std::string& name = entry->arg("name");
        bool exists = std::find(environment.interfaces.begin(), environment.interfaces.end(), name) !=
                      environment.interfaces.end();
        std::string message = fmt::format("there is no interface {} on this host; see \"ip link\"", name);
        if (!exists && environment.ports_may_be_missing) findings.push_back(warning_at(*entry, message));
        if (!exists && !environment.ports_may_be_missing) findings.push_back(error_at(*entry, message));
    }
    if (const ConfigEntry* entry = node.find("gate prefix-list sequence");
        entry != nullptr && !is_plain_name(entry->arg("list"))) {
        findings.push_back(
            error_at(*entry, "the name of a prefix list consists of letters, digits, \"-\", \"_\" and \".\""));
    }
    return findings;
}

}  // namespace nett::anycast
