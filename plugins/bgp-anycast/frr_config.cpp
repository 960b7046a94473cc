#include "plugins/bgp-anycast/frr_config.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "agent/sdk/strings.hpp"

namespace nett::anycast {
namespace {

using Words = std::vector<std::string_view>;

constexpr const char* kAddressList = "NETT-META";
constexpr const char* kRedistribute = "NETT-META";
constexpr const char* kOutMap = "NETT-FABRIC-OUT";
constexpr const char* kBfdProfile = "nett";

Words words_of(std::string_view line) {
    Words words;
    for (std::string_view word : split(line, ' ')) {
        if (!word.empty()) words.push_back(word);
    }
    return words;
}

bool begins(const Words& words, std::initializer_list<std::string_view> with) {
    return words.size() >= with.size() && std::equal(with.begin(), with.end(), words.begin());
}

struct RouteMapEntry {
    bool permit = false;
    std::vector<std::string> matched_lists;  // of "match ipv6 address prefix-list"
    bool other_match = false;
    bool graceful_shutdown = false;
};

struct Neighbor {
    std::set<std::string> prefix_lists_out;
    std::set<std::string> route_maps_out;
    bool activated = false;
    bool bfd = false;
    std::string group;  // it is a member of
};

// What of a running configuration matters here.
struct Model {
    std::map<std::string, std::vector<Words>> prefix_lists;  // words behind "ipv6 prefix-list NAME"
    std::map<std::string, std::vector<RouteMapEntry>> route_maps;
    std::optional<std::int64_t> delay_timer;
    bool graceful_restart_disabled = false;
    bool graceful_restart = false;
    std::string as_number;
    std::map<std::string, Neighbor> neighbors;
    std::optional<std::string> redistribute;  // its route map; "" for none
};

class Reader {
public:
    explicit Reader(std::string_view text) {
        for (std::string_view line : split(text, '\n')) read(line);
    }
    Model model;

private:
    enum class Block { kTop, kBgp, kIpv6Unicast, kOtherFamily, kRouteMap, kOther };

    void read(std::string_view line) {
        Words words = words_of(line);
        if (words.empty() || words[0].starts_with('!')) return;
        if (line[0] != ' ') return top(words);
        if (words[0] == "exit-address-family") {
            block_ = Block::kBgp;
        } else if (block_ == Block::kRouteMap) {
            route_map(words);
        } else if (words[0] == "address-family" && block_ != Block::kOther) {
            block_ = begins(words, {"address-family", "ipv6", "unicast"}) ? Block::kIpv6Unicast : Block::kOtherFamily;
        } else if (block_ == Block::kBgp || block_ == Block::kIpv6Unicast) {
            bgp(words);
        }
    }

    void top(const Words& words) {
        block_ = Block::kTop;
        if (begins(words, {"ipv6", "prefix-list"}) && words.size() > 3) {
            model.prefix_lists[std::string(words[2])].push_back(Words(words.begin() + 3, words.end()));
        } else if (words[0] == "route-map" && words.size() >= 4) {
            block_ = Block::kRouteMap;
            entry_ = &model.route_maps[std::string(words[1])].emplace_back();
            entry_->permit = words[2] == "permit";
        } else if (begins(words, {"bgp", "route-map", "delay-timer"}) && words.size() == 4) {
            if (auto seconds = parse_integer(words[3], 0, 600)) model.delay_timer = *seconds;
        } else if (begins(words, {"router", "bgp"}) && words.size() >= 3) {
            // Another VRF's BGP is not the fabric's.
            block_ = words.size() > 3 && words[3] == "vrf" ? Block::kOther : Block::kBgp;
            if (block_ == Block::kBgp) model.as_number = words[2];
        } else {
            block_ = Block::kOther;
        }
    }

    void route_map(const Words& words) {
        if (begins(words, {"match", "ipv6", "address", "prefix-list"}) && words.size() == 5) {
            entry_->matched_lists.emplace_back(words[4]);
        } else if (words[0] == "match") {
            entry_->other_match = true;
        } else if (begins(words, {"set", "community"})) {
            entry_->graceful_shutdown = std::any_of(words.begin() + 2, words.end(), [](std::string_view word) {
                return word == "graceful-shutdown" || word == "65535:0";
            });
        }
    }

    void bgp(const Words& words) {
        if (begins(words, {"bgp", "graceful-restart-disable"})) model.graceful_restart_disabled = true;
        if (words.size() == 2 && begins(words, {"bgp", "graceful-restart"})) model.graceful_restart = true;
        if (begins(words, {"redistribute", "connected"})) {
            model.redistribute = begins(words, {"redistribute", "connected", "route-map"}) && words.size() > 3
                                     ? std::string(words[3])
                                     : std::string();
        }
        if (words[0] == "neighbor" && words.size() >= 3) neighbor(words);
    }

    void neighbor(const Words& words) {
        Neighbor& entry = model.neighbors[std::string(words[1])];
        bool unicast = block_ == Block::kIpv6Unicast;
        if (words.size() >= 4 && words[words.size() - 2] == "peer-group") entry.group = words.back();
        if (words[2] == "bfd") entry.bfd = true;
        if (unicast && words[2] == "activate") entry.activated = true;
        if (!unicast || words.size() != 5 || words[4] != "out") return;
        if (words[2] == "prefix-list") entry.prefix_lists_out.emplace(words[3]);
        if (words[2] == "route-map") entry.route_maps_out.emplace(words[3]);
    }

    Block block_ = Block::kTop;
    RouteMapEntry* entry_ = nullptr;
};

// Neighbors in their own right: members of an activated group are covered by it.
std::vector<std::string> announcing_neighbors(const Model& model) {
    std::vector<std::string> names;
    for (const auto& [name, neighbor] : model.neighbors) {
        if (neighbor.activated) names.push_back(name);
    }
    return names;
}

// The last word of a list on everything that nett does not permit.
bool denies_by_default(const Model& model, const std::string& list) {
    auto found = model.prefix_lists.find(list);
    if (found == model.prefix_lists.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [](const Words& words) {
        // seq 1000 deny any   (or deny ::/0 le 128)
        auto deny = std::find(words.begin(), words.end(), "deny");
        return deny != words.end() && deny + 1 != words.end() &&
               (*(deny + 1) == "any" || (*(deny + 1) == "::/0" && words.back() == "128"));
    });
}

// Whether a list permits the address and nothing else.
bool permits_exactly(const Model& model, const std::string& list, const Prefix6& address) {
    auto found = model.prefix_lists.find(list);
    if (found == model.prefix_lists.end()) return false;
    int permits = 0;
    for (const Words& words : found->second) {
        auto permit = std::find(words.begin(), words.end(), "permit");
        if (permit == words.end()) continue;
        if (permit + 2 != words.end()) return false;  // ge, le
        auto prefix = Prefix6::parse(*(permit + 1));
        if (!prefix || !(*prefix == address)) return false;
        ++permits;
    }
    return permits == 1;
}

class Inspection {
public:
    Inspection(const Model& model, const Settings& settings) : model_(model), settings_(settings) {}

    std::vector<FrrFinding> run() {
        if (model_.as_number.empty()) {
            add(true, "router bgp", "without BGP nothing is announced");
            return std::move(findings_);
        }
        redistribution();
        std::vector<std::string> neighbors = announcing_neighbors(model_);
        if (neighbors.empty()) {
            add(true, "address-family ipv6 unicast: neighbor … activate", "no neighbor takes IPv6 routes");
        }
        if (settings_.gate) gate(neighbors);
        if (settings_.drain) drain(neighbors);
        timing(neighbors);
        return std::move(findings_);
    }

private:
    void add(bool essential, std::string missing, std::string why) {
        findings_.push_back({essential, std::move(missing), std::move(why)});
    }

    void redistribution() {
        std::string wanted = "redistribute connected route-map " + std::string(kRedistribute);
        if (!model_.redistribute) return add(true, wanted, "without it the address is not announced");
        if (model_.redistribute->empty()) {
            return add(true, wanted, "\"redistribute connected\" alone announces every address of this host");
        }
        auto map = model_.route_maps.find(*model_.redistribute);
        bool exact = map != model_.route_maps.end() &&
                     std::all_of(map->second.begin(), map->second.end(), [&](const RouteMapEntry& entry) {
                         if (!entry.permit) return true;
                         return entry.matched_lists.size() == 1 &&
                                permits_exactly(model_, entry.matched_lists[0], settings_.address);
                     });
        if (exact) return;
        add(true,
            fmt::format("route-map {} permit 10: match ipv6 address prefix-list {} (permit {})", *model_.redistribute,
                        kAddressList, settings_.address.to_string()),
            "the route map must permit exactly the address");
    }

    void gate(const std::vector<std::string>& neighbors) {
        const std::string& list = settings_.gate->list;
        if (!denies_by_default(model_, list)) {
            add(true, fmt::format("ipv6 prefix-list {} seq 1000 deny any", list),
                "FRR lets everything pass a list without entries");
        }
        for (const std::string& name : neighbors) {
            if (model_.neighbors.at(name).prefix_lists_out.contains(list)) continue;
            add(true, fmt::format("neighbor {} prefix-list {} out", name, list), "without it the gate closes nothing");
        }
    }

    bool sets_graceful_shutdown(const std::string& map) const {
        auto found = model_.route_maps.find(map);
        return found != model_.route_maps.end() &&
               std::any_of(found->second.begin(), found->second.end(), [&](const RouteMapEntry& entry) {
                   return entry.permit && entry.graceful_shutdown &&
                          entry.matched_lists == std::vector<std::string>{settings_.drain->list};
               });
    }

    void drain(const std::vector<std::string>& neighbors) {
        const std::string& list = settings_.drain->list;
        if (!denies_by_default(model_, list)) {
            add(true, fmt::format("ipv6 prefix-list {} seq 1000 deny any", list),
                "without it every announcement is less preferred while the list is empty");
        }
        for (const std::string& name : neighbors) {
            const auto& maps = model_.neighbors.at(name).route_maps_out;
            if (std::any_of(maps.begin(), maps.end(), [&](const auto& map) { return sets_graceful_shutdown(map); }))
                continue;
            add(false,
                fmt::format("neighbor {} route-map {} out, with: match ipv6 address prefix-list {}, set community "
                            "graceful-shutdown additive",
                            name, kOutMap, list),
                "without it a drain changes nothing");
        }
        if (!model_.delay_timer || *model_.delay_timer != 1) {
            add(false, "bgp route-map delay-timer 1",
                model_.delay_timer == 0 ? "with 0 a drain never takes effect" : "a drain takes 5 s instead of 1 s");
        }
    }

    void timing(const std::vector<std::string>& neighbors) {
        if (!model_.graceful_restart_disabled) {
            add(false, "bgp graceful-restart-disable",
                model_.graceful_restart ? "peers keep the routes of a dead bgpd for its restart time"
                                        : "a peer's own graceful restart may keep the routes of a dead bgpd");
        }
        for (const std::string& name : neighbors) {
            if (model_.neighbors.at(name).bfd) continue;
            add(false, fmt::format("neighbor {} bfd profile {}", name, kBfdProfile),
                "a silent loss of this host is noticed at the hold time only");
        }
    }

    const Model& model_;
    const Settings& settings_;
    std::vector<FrrFinding> findings_;
};

std::string lists_text(const Settings& settings) {
    std::string text;
    if (settings.gate) {
        text += fmt::format(
            "! The gate, closed by default. nett writes \"seq {} permit\" while the host is healthy and \"deny\" "
            "otherwise;\n"
            "! without this last line FRR would let everything pass an empty list.\n"
            "ipv6 prefix-list {} seq 1000 deny any\n",
            settings.gate->sequence, settings.gate->list);
    }
    if (settings.drain) text += fmt::format("ipv6 prefix-list {} seq 1000 deny any\n", settings.drain->list);
    text += fmt::format("ipv6 prefix-list {} seq 5 permit {}\n!\n", kAddressList, settings.address.to_string());
    text += fmt::format(
        "! Exactly the anycast address, not whatever else is connected.\nroute-map {} permit 10\n match ipv6 address "
        "prefix-list {}\nexit\n!\n",
        kRedistribute, kAddressList);
    if (!settings.drain) return text;
    return text +
           fmt::format(
               "! The drain (RFC 8326): receivers give such a route the local preference 0.\nroute-map {0} permit 10\n "
               "match "
               "ipv6 address prefix-list {1}\n set community graceful-shutdown additive\nexit\nroute-map {0} permit "
               "20\nexit\n!\n! With the default of 5 s a drain comes late, with 0 never.\nbgp route-map delay-timer "
               "1\n!\n",
               kOutMap, settings.drain->list);
}

}  // namespace

FrrFacts facts_of(std::string_view running) {
    Reader reader(running);
    return {reader.model.as_number, announcing_neighbors(reader.model)};
}

std::vector<FrrFinding> missing_in(std::string_view running, const Settings& settings) {
    Reader reader(running);
    return Inspection(reader.model, settings).run();
}

std::string snippet(const Settings& settings, const FrrFacts& facts) {
    bool example = facts.as_number.empty() || facts.neighbors.empty();
    std::vector<std::string> neighbors = facts.neighbors.empty() ? std::vector<std::string>{"FABRIC"} : facts.neighbors;
    std::string text = "! What plugin bgp-anycast expects of FRR on this host.\n";
    if (example) text += "! The AS number and the neighbors are examples: FRR's running configuration names none.\n";
    text += lists_text(settings);
    text += fmt::format(
        "! Needs bfdd=yes in /etc/frr/daemons and the same on the other side: a silent loss of this host is seen in "
        "0.3 "
        "s.\nbfd\n profile {}\n  detect-multiplier 3\n  receive-interval 100\n  transmit-interval 100\n "
        "exit\nexit\n!\n",
        kBfdProfile);
    text += fmt::format("router bgp {}\n", facts.as_number.empty() ? "4200000003" : facts.as_number);
    text +=
        " ! With graceful restart the peers keep the routes of a dead bgpd for its restart time (120 s, SONiC 240 "
        "s).\n";
    text += " bgp graceful-restart-disable\n";
    if (facts.neighbors.empty()) {
        text +=
            " neighbor FABRIC peer-group\n neighbor FABRIC remote-as external\n neighbor uplink1 interface peer-group "
            "FABRIC\n";
    }
    for (const auto& name : neighbors) text += fmt::format(" neighbor {} bfd profile {}\n", name, kBfdProfile);
    text += fmt::format(" address-family ipv6 unicast\n  redistribute connected route-map {}\n", kRedistribute);
    for (const auto& name : neighbors) {
        text += fmt::format("  neighbor {} activate\n", name);
        if (settings.gate) text += fmt::format("  neighbor {} prefix-list {} out\n", name, settings.gate->list);
        if (settings.drain) text += fmt::format("  neighbor {} route-map {} out\n", name, kOutMap);
    }
    return text + " exit-address-family\nexit\n!\n";
}

}  // namespace nett::anycast
