#include "plugins/ra/settings.hpp"

#include <algorithm>

namespace nett::ra {
namespace {

constexpr const char* kNode = "ra";

ConfigCommand command(std::string pattern, std::string help, std::vector<TokenHelp> tokens,
                      std::vector<std::string> keys = {}, std::string default_text = {}) {
    return {kNode, std::move(pattern),     std::move(help), std::move(tokens), std::move(keys),
            {},    std::move(default_text)};
}

RouterPreference preference_of(const std::string& word) {
    if (word == "high") return RouterPreference::kHigh;
    return word == "low" ? RouterPreference::kLow : RouterPreference::kMedium;
}

}  // namespace

std::vector<ConfigCommand> config_commands() {
    return {
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
        command("port {name:word:@interfaces} prefix {prefix:prefix6}", "Gives a port a prefix of your choice",
                {{"name", "The port"}, {"prefix", "A /64 that no other port has"}}, {"name"}),
        command("machine-peer-group {group:word}",
                "BGP unnumbered neighbours of this peer-group of bgpd are machines; others are the fabric's",
                {{"group", "The peer-group's name in frr.conf"}}, {}, kMachineGroup),
        command("machine-bgp", "Every BGP unnumbered neighbour on a port is a machine, in whatever peer-group", {}, {},
                "only those of machine-peer-group"),
        command("interval {seconds:int:1..1800}", "Longest time between two advertisements", {{"seconds", "Seconds"}},
                {}, "10"),
        command("router-lifetime {seconds:int:1..9000}", "How long hosts keep this switch as default router",
                {{"seconds", "Seconds; not less than the interval"}}, {}, "30"),
        command("valid-lifetime {seconds:int:1..2592000}",
                "How long an address stays usable after the last advertisement",
                {{"seconds", "Seconds; not less than preferred-lifetime"}}, {}, "600"),
        command("preferred-lifetime {seconds:int:1..604800}", "How long an address is used for new connections",
                {{"seconds", "Seconds; not less than the interval"}}, {}, "300"),
        command("preference {level:choice:high|medium|low}", "Default router preference (RFC 4191)",
                {{"level", "Preference"}}, {}, "medium"),
        command("rdnss {address:address6}", "Recursive DNS server to advertise (RFC 8106)",
                {{"address", "Its address"}}, {"address"}),
        command("mtu {bytes:int:1280..65535}", "Link MTU to advertise", {{"bytes", "Bytes"}}, {}, "not advertised"),
        command("managed-flag", "Tell hosts that addresses come by DHCPv6 too (M flag); iPXE waits for it and fails",
                {}),
        command("other-config-flag",
                "Tell hosts that other configuration comes by DHCPv6 (O flag); iPXE waits and fails", {}),
        command("withdraw-on-stop",
                "When the agent stops, say farewell on all ports instead of leaving them advertised", {}),
    };
}

Settings settings_of(const ConfigNode& node) {
    Settings settings;
    settings.machine_group = node.text("machine-peer-group", "group", kMachineGroup);
    settings.machine_bgp = node.has("machine-bgp");
    if (const ConfigEntry* entry = node.find("aggregate")) settings.aggregate = entry->prefix("prefix");
    for (const ConfigEntry* entry : node.all("ports")) settings.ranges.push_back(entry->arg("range"));
    for (const ConfigEntry* entry : node.all("port prefix")) {
        settings.overrides.emplace(entry->arg("name"), entry->prefix("prefix"));
    }
    if (node.text("mode", "kind", "l3-port") == "bridge") settings.mode = Mode::kBridge;
    settings.withdraw_on_stop = node.has("withdraw-on-stop");
    RaInterface& shared = settings.advertisement;
    shared.managed = node.has("managed-flag");
    shared.other_config = node.has("other-config-flag");
    shared.max_interval = std::chrono::seconds(node.integer("interval", "seconds", 10));
    shared.router_lifetime = std::chrono::seconds(node.integer("router-lifetime", "seconds", 30));
    shared.preference = preference_of(node.text("preference", "level", "medium"));
    if (const ConfigEntry* entry = node.find("mtu")) shared.mtu = static_cast<std::uint32_t>(entry->integer("bytes"));
    settings.lifetimes.valid_lifetime = std::chrono::seconds(node.integer("valid-lifetime", "seconds", 600));
    settings.lifetimes.preferred_lifetime = std::chrono::seconds(node.integer("preferred-lifetime", "seconds", 300));
    for (const ConfigEntry* entry : node.all("rdnss")) {
        shared.dns_servers.push_back({entry->address("address"), settings.lifetimes.valid_lifetime});
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
