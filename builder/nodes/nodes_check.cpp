#include "builder/nodes/nodes_check.hpp"

#include <algorithm>
#include <regex>

#include "agent/sdk/address.hpp"
#include "builder/talos/node_config.hpp"

namespace nett::builder {
namespace {

// Whether a value is there for the first time, and who has it else.
class Owners {
public:
    explicit Owners(Problems& problems) : problems_(problems) {}
    void take(const std::string& what, const std::string& value, const std::string& owner, int line) {
        if (value.empty()) return;
        const auto [entry, is_new] = owners_.try_emplace(what + " " + value, owner, line);
        if (is_new) return;
        problems_.add(line, "{} {} is {}'s already, see line {}", what, value, entry->second.first,
                      entry->second.second);
    }

private:
    std::map<std::string, std::pair<std::string, int>> owners_;
    Problems& problems_;
};

int line_of_key(const NodeEntry& node, const std::string& key) {
    const auto found = node.lines.find(key);
    return found == node.lines.end() ? node.line : found->second;
}

template <typename Entry>
bool is_there(const std::vector<Entry>& entries, const std::string& name) {
    return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.name == name; });
}

void check_names(const NodesFile& file, Problems& problems) {
    Owners owners(problems);
    for (const auto& one : file.tenants) owners.take("the name", one.name, "another tenant", one.line);
    Owners sets(problems);
    for (const auto& one : file.artifacts) sets.take("the name", one.name, "another artifact set", one.line);
    Owners profiles(problems);
    for (const auto& one : file.profiles)
        profiles.take("the name", one.name + (one.tenant.empty() ? "" : " of " + one.tenant), "another profile",
                      one.line);
    Owners pools(problems);
    for (const auto& one : file.pools) pools.take("the name", one.name, "another pool", one.line);
    Owners nodes(problems);
    for (const auto& one : file.nodes) nodes.take("the name", one.name, "another node", line_of_key(one, "name"));
}

void check_identities(const NodesFile& file, Problems& problems) {
    Owners owners(problems);
    for (const auto& node : file.nodes) {
        owners.take("UUID", node.uuid, node.name, line_of_key(node, "uuid"));
        for (const auto& mac : node.macs) owners.take("MAC address", mac, node.name, line_of_key(node, "mac"));
        for (const auto& [port, prefix] : node.ports) owners.take("port", port, node.name, line_of_key(node, "port"));
        if (node.production == ProductionFrom::kStatic)
            owners.take("production prefix", node.production_value, node.name, line_of_key(node, "production"));
        if (!node.bmc) continue;
        const auto& system = node.bmc->system_path;
        owners.take("BMC", node.bmc->endpoint + (system.empty() ? "" : " " + system), node.name, node.bmc->line);
    }
}

// One prefix inside another is one too many: the fabric would send packets of the one to the other.
void check_overlaps(const NodesFile& file, Problems& problems) {
    struct Taken {
        Prefix6 prefix;
        const NodeEntry* node;
    };
    std::vector<Taken> taken;
    for (const auto& node : file.nodes) {
        if (node.production != ProductionFrom::kStatic || node.production_value.empty()) continue;
        const auto parsed = Prefix6::parse(node.production_value);
        if (parsed) taken.push_back({*parsed, &node});
    }
    std::sort(taken.begin(), taken.end(), [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
    for (std::size_t i = 1; i < taken.size(); ++i) {
        const auto& [outer, other] = taken[i - 1];
        const auto& [inner, node] = taken[i];
        if (outer == inner || !outer.overlaps(inner)) continue;
        problems.add(line_of_key(*node, "production"), "production prefix {} overlaps {}, which is {}'s",
                     inner.to_string(), outer.to_string(), other->name);
    }
}

void check_references(const NodesFile& file, Problems& problems) {
    const auto tenant = [&](const std::string& name, int line) {
        if (name.empty() || is_there(file.tenants, name)) return;
        problems.add(line, "there is no tenant \"{}\" in this file", name);
    };
    for (const auto& one : file.profiles) tenant(one.tenant, one.line);
    for (const auto& one : file.pools) tenant(one.tenant, one.line);
    for (const auto& node : file.nodes) {
        tenant(node.tenant, line_of_key(node, "tenant"));
        for (const auto& profile : file.profiles) {
            if (profile.name != node.profile || profile.tenant.empty() || profile.tenant == node.tenant) continue;
            const bool another = std::any_of(file.profiles.begin(), file.profiles.end(), [&](const auto& one) {
                return one.name == node.profile && (one.tenant.empty() || one.tenant == node.tenant);
            });
            if (!another)
                problems.add(line_of_key(node, "profile"), "profile \"{}\" is of tenant \"{}\", not of \"{}\"",
                             node.profile, profile.tenant, node.tenant);
        }
        for (const auto& pool : file.pools) {
            if (node.production != ProductionFrom::kPool || pool.name != node.production_value) continue;
            if (!pool.tenant.empty() && pool.tenant != node.tenant)
                problems.add(line_of_key(node, "production"), "pool \"{}\" is of tenant \"{}\", not of \"{}\"",
                             pool.name, pool.tenant, node.tenant);
        }
    }
}

void check_tenants(const NodesFile& file, Problems& problems) {
    for (const auto& one : file.tenants) {
        if (!one.common_names.empty() || !one.common_name_suffixes.empty() || !one.organizational_units.empty())
            continue;
        problems.add(one.line,
                     "no certificate would ever match: give \"common-names\", \"common-name-suffixes\" or "
                     "\"organizational-units\"");
    }
    for (const auto& pool : file.pools) {
        const auto prefix = Prefix6::parse(pool.prefix);
        if (prefix && pool.length != 0 && pool.length < prefix->length())
            problems.add(pool.line, "a /{} does not fit into {}", pool.length, pool.prefix);
    }
}

void check_configs(const NodesFile& file, Problems& problems) {
    Owners owners(problems);
    for (const auto& node : file.nodes) {
        if (!node.config.empty()) {
            if (node.talos.line != 0)
                problems.add(node.talos.line, "\"config\" is registered as it is: \"talos\" has no effect beside it");
            continue;
        }
        const auto settings = effective_talos(file, node);
        if (!settings.line) continue;  // no config: the machine's is kept, or it has none
        if (node.role.empty() && !node.lines.contains("role"))
            problems.add(node.line, "a node whose config is made needs \"role\": controlplane or worker");
        const std::string& base = node.role == "worker" ? settings.worker : settings.controlplane;
        if (!node.role.empty() && base.empty())
            problems.add(node.line, "\"talos\" has no \"{}\": the file that talosctl gen config has written",
                         node.role);
        if (settings.bgp != "none" && settings.links.empty())
            problems.add(node.line, "BGP needs \"links\", such as [eth0, eth1], or say \"bgp: none\"");
        if (settings.bgp == "none") continue;
        owners.take("AS number", std::to_string(asn_of(node, settings)), node.name, node.line);
        owners.take("router ID", router_id_of(node, settings), node.name, node.line);
    }
}

void check_images(const NodesFile& file, Problems& problems) {
    for (const auto& node : file.nodes) {
        const auto tenant = std::find_if(file.tenants.begin(), file.tenants.end(),
                                         [&](const auto& one) { return one.name == node.tenant; });
        if (node.boot != BootWay::kUsb || tenant == file.tenants.end() || tenant->image) continue;
        problems.add(line_of_key(node, "boot"),
                     "{} boots from USB, and tenant \"{}\" has no \"image\" to make it from; say \"boot: other\" when "
                     "it has its image",
                     node.name, node.tenant);
    }
}

}  // namespace

void check_talos(const TalosSettings& settings, Problems& problems) {
    const auto line = [&](const std::string& key) {
        const auto found = settings.lines.find(key);
        return found == settings.lines.end() ? settings.line : found->second;
    };
    if (!settings.version.empty()) {
        if (const auto version = parse_talos_version(settings.version); !version)
            problems.add(line("version"), version.error());
    }
    static const std::regex router_id(R"((\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3}))");
    if (!settings.router_id.empty() && !std::regex_match(settings.router_id, router_id))
        problems.add(line("router-id"), "a router ID is a number of 32 bits, written as in 10.0.0.1");
    static const std::regex link("[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}");  // IFNAMSIZ
    for (const auto& one : settings.links) {
        if (!std::regex_match(one, link)) problems.add(line("links"), "\"{}\" is no name of a network interface", one);
    }
    if (!settings.install_disk.empty() && !settings.install_disk.starts_with("/dev/"))
        problems.add(line("install-disk"), "the disk to install on is a device, such as /dev/nvme0n1");
}

void check_nodes(NodesFile& file, Problems& problems) {
    for (auto& node : file.nodes) {
        if (!node.tenant.empty()) continue;
        if (file.tenants.size() == 1) node.tenant = file.tenants.front().name;
        if (file.tenants.size() != 1)
            problems.add(node.line, "the file has several tenants: say which one's this node is");
    }
    check_names(file, problems);
    check_identities(file, problems);
    check_overlaps(file, problems);
    check_references(file, problems);
    check_tenants(file, problems);
    check_configs(file, problems);
    check_images(file, problems);
}

}  // namespace nett::builder
