// What is refused at commit, and why.
#include <algorithm>

#include "plugins/ra/settings.hpp"

namespace nett::ra {
namespace {

class Checker {
public:
    Checker(const ConfigEntry& plugin, const CheckEnvironment& environment)
        : plugin_(plugin), node_(plugin.children()), environment_(environment), settings_(settings_of(node_)) {}

    std::vector<Diagnostic> run() {
        check_something_to_do();
        check_aggregate();
        check_ranges();
        check_interfaces();
        check_lifetimes();
        check_mode();
        check_flags();
        return std::move(findings_);
    }

private:
    void error(const ConfigEntry& entry, std::string message) {
        findings_.push_back(error_at(entry, std::move(message)));
    }
    void warning(const ConfigEntry& entry, std::string message) {
        findings_.push_back(warning_at(entry, std::move(message)));
    }
    void missing(const ConfigEntry& entry, std::string message) {
        environment_.ports_may_be_missing ? warning(entry, std::move(message)) : error(entry, std::move(message));
    }

    void check_something_to_do() {
        if (settings_.ranges.empty() && settings_.overrides.empty()) {
            error(plugin_, "plugin ra has no ports; add \"ports\" with the ports that machines boot behind");
        }
    }

    void check_aggregate() {
        const ConfigEntry* entry = node_.find("aggregate");
        if (entry == nullptr) {
            for (const ConfigEntry* range : node_.all("ports")) {
                error(*range, "these ports have no prefix; add \"aggregate PREFIX\" that their /64s are taken from");
            }
            return;
        }
        const Prefix6& aggregate = *settings_.aggregate;
        if (aggregate.address().is_multicast() || aggregate.address().is_link_local()) {
            error(*entry,
                  fmt::format("{} is no prefix for hosts; use a global or unique local one", aggregate.to_string()));
        } else if (aggregate.length() > kPortPrefixLength) {
            error(*entry, fmt::format("aggregate {} has no room for a /64; use /64 or shorter, /56 for 256 ports",
                                      aggregate.to_string()));
        } else {
            check_room(*entry, aggregate);
        }
    }

    void check_room(const ConfigEntry& entry, const Prefix6& aggregate) {
        std::size_t derived = 0;
        for (const std::string& port : matching_ports(settings_, environment_.interfaces)) {
            if (!settings_.overrides.contains(port)) ++derived;
        }
        if (derived > aggregate.count(kPortPrefixLength)) {
            error(entry, fmt::format("aggregate {} has room for {} ports, and {} are configured; use a shorter prefix",
                                     aggregate.to_string(), aggregate.count(kPortPrefixLength), derived));
        }
    }

    void check_ranges() {
        for (const ConfigEntry* entry : node_.all("ports")) {
            const std::string& range = entry->arg("range");
            auto resolved = resolve_interfaces(range, environment_.interfaces);
            if (!resolved) {
                error(*entry, resolved.error().to_string());
            } else if (resolved->empty()) {
                missing(*entry, fmt::format("\"ports {}\" matches no port of this host; see \"ip link\"", range));
            }
        }
    }

    void check_interfaces() {
        const auto& existing = environment_.interfaces;
        const auto ports = matching_ports(settings_, existing);
        std::vector<const ConfigEntry*> seen;
        for (const ConfigEntry* entry : node_.all("interface")) {
            const std::string& port = entry->arg("name");
            const ConfigEntry* prefix = entry->children().find("prefix");
            if (std::find(existing.begin(), existing.end(), port) == existing.end()) {
                missing(*entry, fmt::format("there is no port {} on this host; see \"ip link\"", port));
            } else if (std::find(ports.begin(), ports.end(), port) == ports.end()) {
                warning(*entry,
                        fmt::format("{} is in no range of \"ports\" and has no \"prefix\" of its own: nothing is "
                                    "advertised there; add either",
                                    port));
            }
            if (prefix == nullptr) continue;
            check_prefix(*prefix, port);
            for (const ConfigEntry* other : seen) {
                if (prefix_of(*other).overlaps(prefix_of(*entry))) report_shared(*other, *entry);
            }
            seen.push_back(entry);
        }
    }

    void check_prefix(const ConfigEntry& entry, const std::string& port) {
        const Prefix6 prefix = entry.prefix("prefix");
        if (prefix.length() != kPortPrefixLength) {
            error(entry, fmt::format("{} on port {} must be a /64: hosts form addresses in no other (RFC 4862)",
                                     prefix.to_string(), port));
        }
        if (settings_.aggregate && !settings_.aggregate->contains(prefix)) {
            warning(entry,
                    fmt::format("{} is outside the aggregate {}: BGP does not announce it, see that it is reachable",
                                prefix.to_string(), settings_.aggregate->to_string()));
        }
    }

    static Prefix6 prefix_of(const ConfigEntry& interface) {
        return interface.children().find("prefix")->prefix("prefix");
    }

    // One prefix on two L3 ports: the kernel routes to one of them only, so TCP fails on the others while ping answers.
    void report_shared(const ConfigEntry& a, const ConfigEntry& b) {
        bool ordered = a.where().line <= b.where().line;
        const ConfigEntry& first = ordered ? a : b;
        const ConfigEntry& second = ordered ? b : a;
        error(*second.children().find("prefix"),
              fmt::format(
                  "{} overlaps {} of port {}: two ports cannot share a prefix, replies would leave through one of "
                  "them only; give {} another /64",
                  prefix_of(second).to_string(), prefix_of(first).to_string(), first.arg("name"), second.arg("name")));
    }

    // Of all ports, and of each that says something about them itself.
    void check_lifetimes() {
        check_lifetimes(settings_.shared, plugin_);
        for (const ConfigEntry* entry : node_.all("interface")) {
            const auto& own = entry->children().entries();
            const bool says = std::any_of(own.begin(), own.end(), [](const ConfigEntry& line) {
                return line.id().ends_with("-lifetime") || line.id() == "interval";
            });
            if (says) check_lifetimes(settings_.special.at(entry->arg("name")), *entry);
        }
    }

    void check_lifetimes(const Advertisement& says, const ConfigEntry& where) {
        const auto interval = says.interface.max_interval;
        const auto router = says.interface.router_lifetime;
        const auto valid = says.lifetimes.valid_lifetime;
        const auto preferred = says.lifetimes.preferred_lifetime;
        // A typed line has no place that would say whose it is.
        const std::string whose = where.has_arg("name") ? where.arg("name") + ": " : "";
        if (router < interval) {
            error(entry_of(where, "router-lifetime", "interval"),
                  fmt::format("{}router-lifetime {} is below the interval {}: hosts would lose their router between "
                              "two advertisements; use three intervals",
                              whose, router.count(), seconds(interval)));
        }
        if (preferred > valid) {
            error(entry_of(where, "preferred-lifetime", "valid-lifetime"),
                  fmt::format("{}preferred-lifetime {} exceeds valid-lifetime {}", whose, preferred.count(),
                              valid.count()));
        }
        if (preferred < interval) {
            error(entry_of(where, "preferred-lifetime", "interval"),
                  fmt::format("{}preferred-lifetime {} is below the interval {}: addresses would be deprecated between "
                              "two advertisements",
                              whose, preferred.count(), seconds(interval)));
        }
    }

    void check_mode() {
        if (settings_.mode != Mode::kBridge) return;
        auto ports = matching_ports(settings_, environment_.interfaces);
        if (ports.size() <= 1) return;
        error(entry_of(plugin_, "mode", "ports"),
              fmt::format("mode bridge advertises on one interface, and {} are configured ({}, {} …); name the bridge "
                          "itself, not its ports, or use \"mode l3-port\"",
                          ports.size(), ports[0], ports[1]));
    }

    void check_flags() {
        check_flags(node_);
        for (const ConfigEntry* entry : node_.all("interface")) check_flags(entry->children());
    }

    void check_flags(const ConfigNode& node) {
        for (const char* id : {"managed-flag", "other-config-flag"}) {
            if (const ConfigEntry* entry = node.find(id)) {
                warning(*entry,
                        fmt::format("{}: iPXE waits for DHCPv6 then and fails; remove it where machines boot", id));
            }
        }
    }

    static std::int64_t seconds(std::chrono::milliseconds duration) {
        return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    }

    // The line to blame: the first of these that is written in that node, else the one that opens it.
    static const ConfigEntry& entry_of(const ConfigEntry& where, std::string_view id, std::string_view otherwise) {
        if (const ConfigEntry* entry = where.children().find(id)) return *entry;
        if (const ConfigEntry* entry = where.children().find(otherwise)) return *entry;
        return where;
    }

    const ConfigEntry& plugin_;
    const ConfigNode& node_;
    const CheckEnvironment& environment_;
    Settings settings_;
    std::vector<Diagnostic> findings_;
};

}  // namespace

std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment& environment) {
    return Checker(plugin, environment).run();
}

}  // namespace nett::ra
