#include "plugins/bgp-anycast/settings.hpp"

#include <algorithm>
#include <iterator>

namespace nett::anycast {
namespace {

constexpr const char* kNode = "bgp-anycast";
constexpr const char* kGateId = "gate prefix-list sequence";
constexpr const char* kDrainId = "drain prefix-list sequence";
constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ without its NUL

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

void check_lists(const ConfigNode& node, std::vector<Diagnostic>& findings) {
    for (const char* id : {kGateId, kDrainId}) {
        const ConfigEntry* entry = node.find(id);
        if (entry == nullptr || is_plain_name(entry->arg("list"))) continue;
        findings.push_back(
            error_at(*entry, "the name of a prefix list consists of letters, digits, \"-\", \"_\" and \".\""));
    }
    for (auto [id, off] : {std::pair(kGateId, "gate off"), std::pair(kDrainId, "drain off")}) {
        if (const ConfigEntry* entry = node.find(off); entry != nullptr && node.has(id))
            findings.push_back(error_at(*entry, fmt::format("\"{}\" contradicts \"{}\"", off, node.find(id)->line())));
    }
    Settings settings = settings_of(node);
    if (!settings.gate || !settings.drain || settings.gate->list != settings.drain->list) return;
    const ConfigEntry* written = node.find(kDrainId);
    findings.push_back(error_at(written != nullptr ? *written : *node.find(kGateId),
                                "the gate and the drain need a prefix list each"));
}

std::vector<ConfigCommand> list_commands() {
    const Settings defaults;
    return {
        command("gate prefix-list {list:word} sequence {number:int:1..4294967295}",
                "Entry of an IPv6 prefix list of bgpd that lets the address out",
                {{"gate", "The fastest way to withdraw"},
                 {"list", "Name of the prefix list"},
                 {"number", "Sequence number of the entry"}},
                {}, "NETT-ANYCAST sequence 5"),
        command("gate off", "Do without the gate", {{"off", "Withdraw by the address alone"}}),
        command("drain prefix-list {list:word} sequence {number:int:1..4294967295}",
                "Entry of an IPv6 prefix list of bgpd that makes the address less preferred (RFC 8326)",
                {{"drain", "GRACEFUL_SHUTDOWN, by a route map that matches the list"},
                 {"list", "Name of the prefix list"},
                 {"number", "Sequence number of the entry"}},
                {}, "NETT-DRAIN sequence 5"),
        command("drain off", "Do without the drain", {{"off", "Shared trouble changes nothing then"}}),
        command("drain-time {milliseconds:int:0..8000}",
                "How long it is only less preferred before maintenance or a stop withdraws it",
                {{"milliseconds", "Milliseconds"}}, {}, std::to_string(defaults.drain_time.count())),
    };
}

std::vector<ConfigCommand> health_commands() {
    const Settings defaults;
    return {
        command("require {component:word}", "Health component whose local conditions must not fail",
                {{"component", "metadata"}}, {"component"}, "every component that has local conditions"),
        command("check-interval {milliseconds:int:50..60000}", "Time between two looks at the agent's own health",
                {{"milliseconds", "Milliseconds"}}, {}, std::to_string(defaults.check_interval.count())),
        command("rise {checks:int:1..100}", "Good looks in a row before it is announced", {{"checks", "Number"}}, {},
                std::to_string(defaults.rise)),
        command("fall {checks:int:1..100}", "Bad looks in a row before it is withdrawn", {{"checks", "Number"}}, {},
                std::to_string(defaults.fall)),
        command(
            "hold-down {first:int:0..3600} longest {longest:int:0..3600}",
            "How long a server that is withdrawn again and again stays away, doubling each time",
            {{"first", "Seconds after the second withdrawal within five minutes; 0: never"}, {"longest", "Seconds"}},
            {}, "5 longest 160"),
    };
}

}  // namespace

std::vector<ConfigCommand> config_commands() {
    const Settings defaults;
    std::vector<ConfigCommand> commands{
        {"",
         "plugin bgp-anycast",
         "Announces an address while this server is healthy",
         {{"plugin", "Configure a plugin"}},
         {},
         kNode,
         {}},
        command("address {prefix:prefix6}", "The anycast address", {{"prefix", "A /128"}}),
        command("interface {name:word:@interfaces}", "Existing interface that carries the address",
                {{"name", "An interface"}}, {}, "a TUN device of the agent's own, which vanishes with it"),
        command("tun-device {name:word}", "Name of the agent's own TUN device", {{"name", "At most 15 characters"}}, {},
                defaults.tun_device),
        command("lease {seconds:int:2..60}",
                "Lifetime of the address in the kernel: how long it outlives a hanging agent",
                {{"seconds", "Seconds; refreshed three times as often"}}, {}, std::to_string(defaults.lease.count())),
        command("dry-run", "Decide and say so, and announce nothing", {}, {}, "off"),
    };
    for (auto part : {list_commands(), health_commands(), check_commands(kNode)}) {
        std::move(part.begin(), part.end(), std::back_inserter(commands));
    }
    return commands;
}

Settings settings_of(const ConfigNode& node) {
    Settings settings;
    if (const ConfigEntry* entry = node.find("address")) settings.address = entry->prefix("prefix");
    settings.interface = node.text("interface", "name", "");
    settings.tun_device = node.text("tun-device", "name", settings.tun_device);
    settings.lease = std::chrono::seconds(node.integer("lease", "seconds", settings.lease.count()));
    auto list_entry = [&](const char* id, const char* off, std::optional<ListEntry> fallback) {
        const ConfigEntry* entry = node.find(id);
        if (node.has(off)) return std::optional<ListEntry>();
        if (entry == nullptr) return fallback;
        return std::optional<ListEntry>(
            ListEntry{entry->arg("list"), static_cast<std::uint32_t>(entry->integer("number"))});
    };
    settings.gate = list_entry(kGateId, "gate off", settings.gate);
    settings.drain = list_entry(kDrainId, "drain off", settings.drain);
    auto milliseconds = [&](const char* id, std::chrono::milliseconds fallback) {
        return std::chrono::milliseconds(node.integer(id, "milliseconds", fallback.count()));
    };
    settings.drain_time = milliseconds("drain-time", settings.drain_time);
    for (const ConfigEntry* entry : node.all("require")) settings.required.insert(entry->arg("component"));
    settings.check_interval = milliseconds("check-interval", settings.check_interval);
    settings.rise = static_cast<int>(node.integer("rise", "checks", settings.rise));
    settings.fall = static_cast<int>(node.integer("fall", "checks", settings.fall));
    if (const ConfigEntry* entry = node.find("hold-down longest")) {
        settings.hold_down = {std::chrono::seconds(entry->integer("first")),
                              std::chrono::seconds(entry->integer("longest"))};
    }
    settings.dry_run = node.has("dry-run");
    for (const ConfigEntry* entry : node.all("check")) settings.checks.push_back(check_settings_of(*entry));
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
    check_lists(node, findings);
    if (const ConfigEntry* entry = node.find("tun-device");
        entry != nullptr && (entry->arg("name").size() > kMaxInterfaceName || !is_plain_name(entry->arg("name")))) {
        findings.push_back(
            error_at(*entry, "the name of a device has at most 15 letters, digits, \"-\", \"_\" and \".\""));
    }
    for (const ConfigEntry* check : node.all("check")) {
        for (Diagnostic& finding : validate_check(*check)) findings.push_back(std::move(finding));
    }
    return findings;
}

Cleanup cleanup_of(const ConfigNode& node) {
    Settings settings = settings_of(node);
    Cleanup cleanup;
    if (!node.has("address")) return cleanup;
    InterfaceAddress address{settings.address.address(), settings.address.length()};
    // The TUN device is gone with the agent; where there was none the address was on kFallbackInterface.
    cleanup.addresses.push_back({settings.interface.empty() ? kFallbackInterface : settings.interface, address});
    for (const auto& entry : {settings.gate, settings.drain}) {
        if (entry) cleanup.entries.push_back({entry->list, entry->sequence, false, settings.address});
    }
    return cleanup;
}

}  // namespace nett::anycast
