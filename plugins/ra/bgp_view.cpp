#include "plugins/ra/bgp_view.hpp"

#include <algorithm>

#include <boost/json.hpp>

namespace nett::ra {
namespace {

namespace json = boost::json;

constexpr std::string_view kOwnRoute = "(unspec)";

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr || !value->is_string() ? std::string() : std::string(value->as_string());
}

// The neighbour's name if it has told it, else its address.
std::string announcer(const json::object& path) {
    if (const json::value* hops = path.if_contains("nexthops")) {
        for (const json::value& hop : hops->as_array()) {
            std::string name = text_of(hop.as_object(), "hostname");
            if (!name.empty()) return name;
        }
    }
    return text_of(path, "peerId");
}

}  // namespace

Result<std::map<std::string, std::string>> parse_peers(std::string_view text) {
    try {
        std::map<std::string, std::string> ports;
        json::value root = json::parse(text);
        for (const auto& [family, summary] : root.as_object()) {
            const json::value* peers = summary.is_object() ? summary.as_object().if_contains("peers") : nullptr;
            if (peers == nullptr) continue;
            for (const auto& [name, peer] : peers->as_object()) {
                if (text_of(peer.as_object(), "idType") == "interface") ports.emplace(name, "");
            }
        }
        return ports;
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "bgpd's summary is not understood: {}", error.what());
    }
}

Result<void> parse_groups(std::string_view text, std::map<std::string, std::string>& neighbours) {
    try {
        json::value root = json::parse(text);
        for (const auto& [group, value] : root.as_object()) {
            const json::value* members = value.is_object() ? value.as_object().if_contains("members") : nullptr;
            if (members == nullptr) continue;
            for (const auto& [name, member] : members->as_object()) {
                auto found = neighbours.find(std::string(name));
                if (found != neighbours.end()) found->second = group;
            }
        }
        return {};
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "bgpd's peer-groups are not understood: {}", error.what());
    }
}

Result<std::vector<LearnedPrefix>> parse_learned(std::string_view text) {
    try {
        std::vector<LearnedPrefix> learned;
        json::value root = json::parse(text);
        const json::value* routes = root.as_object().if_contains("routes");
        if (routes == nullptr) return learned;
        for (const auto& [network, paths] : routes->as_object()) {
            for (const json::value& item : paths.as_array()) {
                const json::object& path = item.as_object();
                if (text_of(path, "peerId") == kOwnRoute) continue;
                auto prefix = Prefix6::parse(std::string_view(network));
                if (!prefix) return fail(Code::kDataLoss, "{}", prefix.error().message);
                learned.push_back({*prefix, announcer(path)});
                break;
            }
        }
        std::sort(learned.begin(), learned.end(),
                  [](const LearnedPrefix& a, const LearnedPrefix& b) { return a.prefix < b.prefix; });
        return learned;
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "bgpd's routes are not understood: {}", error.what());
    }
}

std::string learned_command(const Prefix6& aggregate) {
    Prefix6 around(aggregate.address(), std::min(aggregate.length(), kSitePrefixLength));
    return fmt::format("show bgp ipv6 unicast {} longer-prefixes", around.to_string());
}

std::vector<std::string> overlaps(const BgpView& view, const Prefix6& aggregate) {
    std::vector<std::string> found;
    for (const LearnedPrefix& entry : view.learned) {
        bool sites = entry.prefix.length() <= kSitePrefixLength && !(entry.prefix == aggregate);
        if (!entry.prefix.overlaps(aggregate) || sites) continue;
        found.push_back(
            fmt::format("aggregate {} overlaps {}, which {} announces: machines behind one of the two switches "
                        "would get no answers; give each switch an aggregate of its own",
                        aggregate.to_string(), entry.prefix.to_string(), entry.from));
    }
    return found;
}

std::vector<std::string> fabric_ports(const BgpView& view, const Settings& settings) {
    std::vector<std::string> found;
    for (const auto& [port, group] : view.neighbours) {
        if (group.empty() || group != settings.machine_group) found.push_back(port);
    }
    return found;
}

std::vector<std::string> fabric_ports_among(const BgpView& view, const Settings& settings,
                                            const std::vector<std::string>& ports) {
    std::vector<std::string> found;
    if (settings.machine_bgp) return found;
    for (std::string& port : fabric_ports(view, settings)) {
        if (std::find(ports.begin(), ports.end(), port) != ports.end()) found.push_back(std::move(port));
    }
    return found;
}

}  // namespace nett::ra
