#include "plugins/ra/show.hpp"

#include <algorithm>

#include <boost/json.hpp>

namespace nett::ra {
namespace {

namespace json = boost::json;

json::array neighbours_of(const Host& host, const PortStatus& port) {
    json::array result;
    auto neighbours = host.net.neighbours(port.name);
    if (!neighbours) return result;
    for (const Neighbour& entry : *neighbours) {
        if (entry.address.is_multicast()) continue;
        result.push_back(
            json::object{{"address", entry.address.to_string()}, {"mac", entry.mac}, {"state", entry.state}});
    }
    return result;
}

}  // namespace

Output show_ra(const Service& service) {
    json::array rows;
    const Settings& settings = service.settings();
    for (const PortStatus& port : service.ports()) {
        rows.push_back(json::object{{"port", port.name},
                                    {"prefix", port.prefix.to_string()},
                                    {"link", port.link},
                                    {"state", port.state},
                                    {"interval_ms", settings.advertisement.max_interval.count()},
                                    {"router_lifetime_s", settings.advertisement.router_lifetime.count()},
                                    {"valid_lifetime_s", settings.lifetimes.valid_lifetime.count()},
                                    {"preferred_lifetime_s", settings.lifetimes.preferred_lifetime.count()},
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
    const Settings& settings = service.settings();
    FrrDaemonStatus zebra = host.frr.status(FrrDaemon::kZebra);
    json::object object{{"port", port->name},
                        {"prefix", port->prefix.to_string()},
                        {"address", port->prefix.host(1).to_string()},
                        {"link", port->link},
                        {"mac", port->mac},
                        {"state", port->state},
                        {"error", port->error},
                        {"interval_ms", settings.advertisement.max_interval.count()},
                        {"router_lifetime_s", settings.advertisement.router_lifetime.count()},
                        {"valid_lifetime_s", settings.lifetimes.valid_lifetime.count()},
                        {"preferred_lifetime_s", settings.lifetimes.preferred_lifetime.count()},
                        {"zebra_in_sync", zebra.in_sync},
                        {"neighbours", neighbours_of(host, *port)}};
    return Output{std::move(object)};
}

}  // namespace nett::ra
