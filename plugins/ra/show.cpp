#include "plugins/ra/show.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"

namespace nett::ra {
namespace {

namespace json = boost::json;

// The machine with this MAC, as registered; "" when there is none.
std::string machine_of(const Host& host, const std::string& mac) {
    if (mac.empty()) return {};
    auto found = host.store.find("machine", "mac", mac);
    return found && *found ? (*found)->key : std::string();
}

// One counter of /proc/net/dev_snmp6/PORT: lines of name and number.
std::int64_t counter(std::string_view text, std::string_view name) {
    for (std::string_view line : split(text, '\n')) {
        if (line.substr(0, name.size()) != name || line.size() == name.size()) continue;
        std::string_view rest = line.substr(name.size());
        if (rest.front() != ' ' && rest.front() != '\t') continue;
        auto value = parse_integer(trim(rest), 0, INT64_MAX);
        if (value) return *value;
    }
    return 0;
}

// What the kernel has counted on the port since it exists; null when it is not there.
json::value counters_of(const Service& service, const std::string& port) {
    auto text = service.files()("/proc/net/dev_snmp6/" + port);
    if (!text) return nullptr;
    return json::object{{"solicitations_received", counter(*text, "Icmp6InRouterSolicits")},
                        {"advertisements_sent", counter(*text, "Icmp6OutRouterAdvertisements")},
                        {"advertisements_received", counter(*text, "Icmp6InRouterAdvertisements")}};
}

json::array neighbours_of(const Host& host, const PortStatus& port) {
    json::array result;
    auto neighbours = host.net.neighbours(port.name);
    if (!neighbours) return result;
    for (const Neighbour& entry : *neighbours) {
        if (entry.address.is_multicast()) continue;
        result.push_back(json::object{{"address", entry.address.to_string()},
                                      {"mac", entry.mac},
                                      {"state", entry.state},
                                      {"machine", machine_of(host, entry.mac)}});
    }
    return result;
}

std::string_view preference_text(RouterPreference preference) {
    if (preference == RouterPreference::kHigh) return "high";
    return preference == RouterPreference::kLow ? "low" : "medium";
}

json::array dns_servers_of(const RaInterface& interface) {
    json::array servers;
    for (const RaDnsServer& server : interface.dns_servers) servers.emplace_back(server.address.to_string());
    return servers;
}

// Which northbound zebra has, where it matters: FRR's own module loses configuration (docs/frr.md).
std::string_view module_text(const FrrDaemonStatus& zebra) {
    if (zebra.backend != "grpc" || !zebra.connected) return "";
    return zebra.hardened ? "hardened" : "stock, worked around";
}

// Machines that run peer with the switch on their ports, in a group by which nett tells them from the fabric.
std::string machines_config(const Service& service) {
    const std::string& group = service.settings().machine_group;
    std::string text = fmt::format(
        "!\n! Machines that run peer on their ports: nett takes this peer-group's neighbours for machines, every "
        "other\n"
        "! BGP unnumbered neighbour for the fabric's. They may announce production prefixes (put yours here), and get\n"
        "! the default route.\n"
        "ipv6 prefix-list NETT-PRODUCTION seq 5 permit 2001:db8:c0de::/48 ge 64\n"
        "ipv6 prefix-list NETT-DEFAULT seq 5 permit ::/0\n"
        "router bgp ASN\n"
        " neighbor {0} peer-group\n"
        " neighbor {0} remote-as external\n"
        " neighbor {0} capability extended-nexthop\n",
        group);
    for (const PortStatus& port : service.ports())
        text += fmt::format(" neighbor {} interface peer-group {}\n", port.name, group);
    return text + fmt::format(
                      " address-family ipv6 unicast\n"
                      "  neighbor {0} activate\n"
                      "  neighbor {0} default-originate\n"
                      "  neighbor {0} prefix-list NETT-PRODUCTION in\n"
                      "  neighbor {0} prefix-list NETT-DEFAULT out\n"
                      " exit-address-family\nexit\n",
                      group);
}

}  // namespace

Output show_drift(const Service& service) {
    json::array rows;
    for (const DriftRecord& entry : service.drift()) {
        rows.push_back(json::object{{"time", to_rfc3339(entry.time)},
                                    {"port", entry.port},
                                    {"where", entry.where},
                                    {"difference", entry.difference}});
    }
    return {std::move(rows),
            {{"time", "Repaired"}, {"port", "Port"}, {"where", "Where"}, {"difference", "What differed"}},
            {}};
}

Output show_frr_config(const Service& service) {
    const Settings& settings = service.settings();
    std::string text;
    if (!settings.aggregate) {
        text = "! no aggregate is configured: there is nothing to announce\n";
    } else {
        text = fmt::format(
            "ipv6 prefix-list NETT-AGGREGATE seq 5 permit {}\n"
            "route-map NETT-AGGREGATE permit 10\n"
            " match ipv6 address prefix-list NETT-AGGREGATE\n"
            "exit\n"
            "router bgp ASN\n"
            " address-family ipv6 unicast\n"
            "  redistribute kernel route-map NETT-AGGREGATE\n",
            settings.aggregate->to_string());
        for (const std::string& port : service.fabric_ports())
            text += fmt::format("  neighbor {} prefix-list NETT-AGGREGATE out\n", port);
        text += " exit-address-family\nexit\n";
    }
    if (settings.mode == Mode::kL3Port) text += machines_config(service);
    return {json::object{{"config", text}}, {}, text};
}

Output show_ra(const Service& service) {
    json::array rows;
    for (const PortStatus& port : service.ports()) {
        const auto& [interface, lifetimes] = service.settings().advertisement_of(port.name);
        rows.push_back(json::object{{"port", port.name},
                                    {"prefix", port.prefix.to_string()},
                                    {"link", port.link},
                                    {"state", port.state},
                                    {"interval_ms", interface.max_interval.count()},
                                    {"router_lifetime_s", interface.router_lifetime.count()},
                                    {"valid_lifetime_s", lifetimes.valid_lifetime.count()},
                                    {"preferred_lifetime_s", lifetimes.preferred_lifetime.count()},
                                    {"error", port.error}});
    }
    return {std::move(rows),
            {{"port", "Port"},
             {"prefix", "Prefix"},
             {"link", "Link"},
             {"state", "State"},
             {"router_lifetime_s", "Router s"},
             {"valid_lifetime_s", "Valid s"},
             {"preferred_lifetime_s", "Preferred s"},
             {"error", "Error"}},
            {}};
}

Result<Output> show_interface(const Host& host, const Service& service, const std::string& name) {
    auto ports = service.ports();
    auto port = std::find_if(ports.begin(), ports.end(), [&](const PortStatus& entry) { return entry.name == name; });
    if (port == ports.end()) return fail(Code::kNotFound, "{} is not a port of plugin ra; see \"show ra\"", name);
    const auto& [interface, lifetimes] = service.settings().advertisement_of(name);
    FrrDaemonStatus zebra = host.frr.status(FrrDaemon::kZebra);
    json::object object{{"port", port->name},
                        {"prefix", port->prefix.to_string()},
                        {"address", port->prefix.host(1).to_string()},
                        {"link", port->link},
                        {"mac", port->mac},
                        {"state", port->state},
                        {"error", port->error},
                        {"interval_ms", interface.max_interval.count()},
                        {"router_lifetime_s", interface.router_lifetime.count()},
                        {"valid_lifetime_s", lifetimes.valid_lifetime.count()},
                        {"preferred_lifetime_s", lifetimes.preferred_lifetime.count()},
                        {"preference", preference_text(interface.preference)},
                        {"mtu", interface.mtu ? json::value(*interface.mtu) : json::value()},
                        {"managed", interface.managed},
                        {"other_config", interface.other_config},
                        {"dns_servers", dns_servers_of(interface)},
                        {"counters", counters_of(service, port->name)},
                        {"zebra_in_sync", zebra.in_sync},
                        {"backend", zebra.backend},
                        {"module", module_text(zebra)},
                        {"neighbours", neighbours_of(host, *port)}};
    return Output{std::move(object)};
}

}  // namespace nett::ra
