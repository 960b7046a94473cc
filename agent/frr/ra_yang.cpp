#include "agent/frr/ra_yang.hpp"

#include <boost/json.hpp>

namespace nett {
namespace {

namespace json = boost::json;

constexpr std::string_view kRa = "ipv6-router-advertisements";

// frr-zebra.yang's defaults, which CONFIG Get leaves out.
constexpr std::int64_t kDefaultIntervalMs = 600'000;
constexpr std::int64_t kDefaultValidLifetime = 2'592'000;
constexpr std::int64_t kDefaultPreferredLifetime = 604'800;

std::int64_t number(const json::object& object, std::string_view key, std::int64_t fallback) {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? fallback : value->to_number<std::int64_t>();
}

bool flag(const json::object& object, std::string_view key, bool fallback) {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? fallback : value->as_bool();
}

std::string_view text(const json::object& object, std::string_view key, std::string_view fallback) {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? fallback : std::string_view(value->as_string());
}

const json::array* list(const json::object& object, std::string_view container, std::string_view name) {
    const json::value* inner = object.if_contains(container);
    if (inner == nullptr) return nullptr;
    const json::value* value = inner->as_object().if_contains(name);
    return value == nullptr ? nullptr : &value->as_array();
}

RouterPreference preference_of(std::string_view name) {
    if (name == "high") return RouterPreference::kHigh;
    return name == "low" ? RouterPreference::kLow : RouterPreference::kMedium;
}

std::string_view to_text(RouterPreference preference) {
    switch (preference) {
        case RouterPreference::kHigh:
            return "high";
        case RouterPreference::kLow:
            return "low";
        case RouterPreference::kMedium:
            break;
    }
    return "medium";
}

RaPrefix parse_prefix(const json::object& object, RaActual& actual) {
    RaPrefix entry;
    auto prefix = Prefix6::parse(text(object, "prefix-spec", ""));
    if (!prefix) throw std::runtime_error(prefix.error().to_string());
    entry.prefix = *prefix;
    entry.valid_lifetime = std::chrono::seconds(number(object, "valid-lifetime", kDefaultValidLifetime));
    entry.preferred_lifetime = std::chrono::seconds(number(object, "preferred-lifetime", kDefaultPreferredLifetime));
    if (!flag(object, "on-link-flag", true) || !flag(object, "autonomous-flag", true)) actual.exact = false;
    return entry;
}

RaDnsServer parse_dns_server(const json::object& object, RaActual& actual) {
    auto address = parse_address6(text(object, "address", ""));
    if (!address) throw std::runtime_error(address.error().to_string());
    if (!object.contains("lifetime")) actual.exact = false;
    return RaDnsServer{*address, std::chrono::seconds(number(object, "lifetime", 0))};
}

RaActual parse_container(const std::string& name, const json::object& ra) {
    RaActual actual;
    actual.send = flag(ra, "send-advertisements", false);
    actual.exact = ra.contains("default-lifetime");
    RaInterface& config = actual.config;
    config.name = name;
    config.max_interval = std::chrono::milliseconds(number(ra, "max-rtr-adv-interval", kDefaultIntervalMs));
    config.router_lifetime = std::chrono::seconds(number(ra, "default-lifetime", 0));
    config.preference = preference_of(text(ra, "default-router-preference", "medium"));
    if (auto mtu = number(ra, "link-mtu", 0); mtu != 0) config.mtu = static_cast<std::uint32_t>(mtu);
    config.managed = flag(ra, "managed-flag", false);
    config.other_config = flag(ra, "other-config-flag", false);
    if (const json::array* prefixes = list(ra, "prefix-list", "prefix")) {
        for (const json::value& entry : *prefixes) config.prefixes.push_back(parse_prefix(entry.as_object(), actual));
    }
    if (const json::array* servers = list(ra, "rdnss", "rdnss-address")) {
        for (const json::value& entry : *servers)
            config.dns_servers.push_back(parse_dns_server(entry.as_object(), actual));
    }
    config = normalized(std::move(config));
    return actual;
}

json::object container_of(const RaInterface& interface) {
    json::object ra;
    ra["send-advertisements"] = true;
    ra["max-rtr-adv-interval"] = interface.max_interval.count();
    ra["default-lifetime"] = interface.router_lifetime.count();
    ra["default-router-preference"] = to_text(interface.preference);
    ra["link-mtu"] = interface.mtu.value_or(0);
    ra["managed-flag"] = interface.managed;
    ra["other-config-flag"] = interface.other_config;
    json::array prefixes;
    for (const RaPrefix& entry : interface.prefixes) {
        prefixes.push_back(json::object{{"prefix-spec", entry.prefix.to_string()},
                                        {"valid-lifetime", entry.valid_lifetime.count()},
                                        {"preferred-lifetime", entry.preferred_lifetime.count()},
                                        {"on-link-flag", true},
                                        {"autonomous-flag", true}});
    }
    if (!prefixes.empty()) ra["prefix-list"] = json::object{{"prefix", std::move(prefixes)}};
    json::array servers;
    for (const RaDnsServer& entry : interface.dns_servers) {
        servers.push_back(json::object{{"address", entry.address.to_string()}, {"lifetime", entry.lifetime.count()}});
    }
    if (!servers.empty()) ra["rdnss"] = json::object{{"rdnss-address", std::move(servers)}};
    return ra;
}

std::string ra_path(const std::string& interface) {
    return fmt::format("{}/interface[name=\"{}\"]/frr-zebra:zebra/{}", kInterfaceLibPath, interface, kRa);
}

}  // namespace

Result<RaTable> parse_ra(std::string_view json_text) {
    if (json_text.empty()) return RaTable{};
    try {
        RaTable table;
        json::value root = json::parse(json_text);
        const json::value* lib = root.as_object().if_contains("frr-interface:lib");
        const json::value* interfaces = lib == nullptr ? nullptr : lib->as_object().if_contains("interface");
        if (interfaces == nullptr) return table;
        for (const json::value& entry : interfaces->as_array()) {
            const json::object& interface = entry.as_object();
            const json::value* zebra = interface.if_contains("frr-zebra:zebra");
            const json::value* ra = zebra == nullptr ? nullptr : zebra->as_object().if_contains(kRa);
            if (ra == nullptr) continue;
            std::string name(text(interface, "name", ""));
            table.emplace(name, parse_container(name, ra->as_object()));
        }
        return table;
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "zebra's interface configuration is not what frr-zebra.yang describes: {}",
                    error.what());
    }
}

std::string merge_json(const RaChange& change) {
    if (change.put.empty()) return {};
    json::array interfaces;
    for (const RaInterface& interface : change.put) {
        json::object zebra{{kRa, container_of(interface)}};
        interfaces.push_back(json::object{{"name", interface.name}, {"frr-zebra:zebra", std::move(zebra)}});
    }
    json::object lib{{"interface", std::move(interfaces)}};
    return json::serialize(json::object{{"frr-interface:lib", std::move(lib)}});
}

std::vector<std::string> delete_paths(const RaChange& change) {
    std::vector<std::string> paths;
    for (const auto& [interface, prefix] : change.delete_prefixes) {
        paths.push_back(
            fmt::format("{}/prefix-list/prefix[prefix-spec=\"{}\"]", ra_path(interface), prefix.to_string()));
    }
    for (const auto& [interface, address] : change.delete_dns_servers) {
        paths.push_back(fmt::format("{}/rdnss/rdnss-address[address=\"{}\"]", ra_path(interface), address.to_string()));
    }
    for (const std::string& interface : change.clear) paths.push_back(ra_path(interface));
    return paths;
}

}  // namespace nett
