#include "plugins/ra/settings.hpp"

#include <algorithm>

namespace nett::ra {
namespace {

constexpr const char* kNode = "ra";
constexpr const char* kInterfaceNode = "ra-interface";

ConfigCommand command(std::string pattern, std::string help, std::vector<TokenHelp> tokens,
                      std::vector<std::string> keys = {}, std::string default_text = {}) {
    return {kNode, std::move(pattern),     std::move(help), std::move(tokens), std::move(keys),
            {},    std::move(default_text)};
}

RouterPreference preference_of(const std::string& word) {
    if (word == "high") return RouterPreference::kHigh;
    return word == "low" ? RouterPreference::kLow : RouterPreference::kMedium;
}

// What all ports share, or what one of them says instead.
void add_advertisement_commands(std::vector<ConfigCommand>& commands, const std::string& node) {
    const auto add = [&](std::string pattern, std::string help, TokenHelp token, std::string default_text,
                         std::vector<std::string> keys = {}) {
        if (node == kInterfaceNode) default_text = "as on the other ports";
        std::vector<TokenHelp> tokens;
        if (!token.token.empty()) tokens.push_back(std::move(token));
        commands.push_back({node,
                            std::move(pattern),
                            std::move(help),
                            std::move(tokens),
                            std::move(keys),
                            {},
                            std::move(default_text)});
    };
    add("interval {seconds:int:1..1800}", "Longest time between two advertisements", {"seconds", "Seconds"}, "10");
    add("router-lifetime {seconds:int:1..9000}", "How long hosts keep this switch as default router",
        {"seconds", "Seconds; not less than the interval"}, "30");
    add("valid-lifetime {seconds:int:1..2592000}", "How long an address stays usable after the last advertisement",
        {"seconds", "Seconds; not less than preferred-lifetime"}, "600");
    add("preferred-lifetime {seconds:int:1..604800}", "How long an address is used for new connections",
        {"seconds", "Seconds; not less than the interval"}, "300");
    add("preference {level:choice:high|medium|low}", "Default router preference (RFC 4191)", {"level", "Preference"},
        "medium");
    add("rdnss {address:address6}", "Recursive DNS server to advertise (RFC 8106)", {"address", "Its address"}, "none",
        {"address"});
    add("mtu {bytes:int:1280..65535}", "Link MTU to advertise", {"bytes", "Bytes"}, "not advertised");
    add("managed-flag", "Tell hosts that addresses come by DHCPv6 too (M flag); iPXE waits for it and fails", {},
        "off");
    add("other-config-flag", "Tell hosts that other configuration comes by DHCPv6 (O flag); iPXE waits and fails", {},
        "off");
}

// Changes what the node says, and nothing else.
void read_advertisement(const ConfigNode& node, Advertisement& out) {
    RaInterface& interface = out.interface;
    const auto seconds = [&](std::string_view id, auto& value) {
        if (const ConfigEntry* entry = node.find(id)) value = std::chrono::seconds(entry->integer("seconds"));
    };
    seconds("interval", interface.max_interval);
    seconds("router-lifetime", interface.router_lifetime);
    seconds("valid-lifetime", out.lifetimes.valid_lifetime);
    seconds("preferred-lifetime", out.lifetimes.preferred_lifetime);
    if (const ConfigEntry* entry = node.find("preference")) interface.preference = preference_of(entry->arg("level"));
    if (const ConfigEntry* entry = node.find("mtu"))
        interface.mtu = static_cast<std::uint32_t>(entry->integer("bytes"));
    interface.managed = interface.managed || node.has("managed-flag");
    interface.other_config = interface.other_config || node.has("other-config-flag");
    if (node.has("rdnss")) interface.dns_servers.clear();
    for (const ConfigEntry* entry : node.all("rdnss")) interface.dns_servers.push_back({entry->address("address"), {}});
    for (RaDnsServer& server : interface.dns_servers) server.lifetime = out.lifetimes.valid_lifetime;
}

}  // namespace

std::vector<ConfigCommand> config_commands() {
    std::vector<ConfigCommand> commands{
        {"",
         "plugin ra",
         "Router advertisements: one prefix for each port",
         {{"plugin", "Configure a plugin"}},
         {},
         kNode,
         {}},
        command("mode {kind:choice:l3-port|bridge}", "One prefix for each port, or one for one bridge",
                {{"kind", "l3-port: every port has its own /64; bridge: one /64 on one bridge, VLAN or L2 plane"}}, {},
                "l3-port"),
        command("aggregate {prefix:prefix6}", "Prefix that the ports' /64s are taken from; BGP announces it",
                {{"prefix", "At most /64; a /56 has room for 256 ports"}}),
        command("ports {range:interfaces}", "Ports that get a /64 of the aggregate each",
                {{"range", "swp1-48,swp50 or Ethernet0-188 step 4"}}, {"range"}),
        command("machine-peer-group {group:word}",
                "BGP unnumbered neighbours of this peer-group of bgpd are machines; others are the fabric's",
                {{"group", "The peer-group's name in frr.conf"}}, {}, kMachineGroup),
        command("machine-bgp", "Every BGP unnumbered neighbour on a port is a machine, in whatever peer-group", {}, {},
                "only those of machine-peer-group"),
    };
    add_advertisement_commands(commands, kNode);
    commands.push_back(command(
        "withdraw-on-stop", "When the agent stops, say farewell on all ports instead of leaving them advertised", {}));
    commands.push_back({kNode,
                        "interface {name:word:@interfaces}",
                        "One port, where it differs from the others",
                        {{"name", "The port"}},
                        {"name"},
                        kInterfaceNode,
                        {}});
    commands.push_back({kInterfaceNode,
                        "prefix {prefix:prefix6}",
                        "Gives the port a prefix of your choice, also when it is in no range of \"ports\"",
                        {{"prefix", "A /64 that no other port has"}},
                        {},
                        {},
                        "a /64 of the aggregate"});
    add_advertisement_commands(commands, kInterfaceNode);
    return commands;
}

const Advertisement& Settings::advertisement_of(const std::string& port) const {
    const auto own = special.find(port);
    return own == special.end() ? shared : own->second;
}

Settings settings_of(const ConfigNode& node) {
    Settings settings;
    settings.machine_group = node.text("machine-peer-group", "group", kMachineGroup);
    settings.machine_bgp = node.has("machine-bgp");
    if (const ConfigEntry* entry = node.find("aggregate")) settings.aggregate = entry->prefix("prefix");
    for (const ConfigEntry* entry : node.all("ports")) settings.ranges.push_back(entry->arg("range"));
    if (node.text("mode", "kind", "l3-port") == "bridge") settings.mode = Mode::kBridge;
    settings.withdraw_on_stop = node.has("withdraw-on-stop");
    read_advertisement(node, settings.shared);
    for (const ConfigEntry* entry : node.all("interface")) {
        const std::string& name = entry->arg("name");
        const auto [own, added] = settings.special.emplace(name, settings.shared);
        read_advertisement(entry->children(), own->second);
        if (const ConfigEntry* prefix = entry->children().find("prefix")) {
            settings.overrides.emplace(name, prefix->prefix("prefix"));
        }
    }
    return settings;
}

std::vector<std::string> matching_ports(const Settings& settings, const std::vector<std::string>& existing) {
    std::vector<std::string> ports;
    for (const std::string& range : settings.ranges) {
        auto resolved = resolve_interfaces(range, existing);
        if (resolved) ports.insert(ports.end(), resolved->begin(), resolved->end());
    }
    for (const auto& [name, prefix] : settings.overrides) {
        if (std::find(existing.begin(), existing.end(), name) != existing.end()) ports.push_back(name);
    }
    std::sort(ports.begin(), ports.end(),
              [](const std::string& a, const std::string& b) { return natural_less(a, b); });
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    return ports;
}

}  // namespace nett::ra
