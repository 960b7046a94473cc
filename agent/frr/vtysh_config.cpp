#include "agent/frr/vtysh_config.hpp"

#include <algorithm>
#include <charconv>

#include <boost/json.hpp>

#include "agent/sdk/strings.hpp"

namespace nett {
namespace {

namespace json = boost::json;

// frr-zebra.yang's defaults, which the configuration leaves out.
constexpr std::chrono::milliseconds kDefaultInterval{600'000};
constexpr std::chrono::seconds kDefaultValidLifetime{2'592'000};
constexpr std::chrono::seconds kDefaultPreferredLifetime{604'800};
constexpr std::int64_t kInfinite = 0xffffffff;

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (std::string_view word : split(line, ' ')) {
        if (!word.empty()) words.push_back(word);
    }
    return words;
}

// Throws std::invalid_argument; parse_running_config() says in which line.
std::int64_t number(std::string_view word) {
    std::int64_t value = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) throw std::invalid_argument("a number is expected");
    return value;
}

std::chrono::seconds lifetime(std::string_view word) {
    return std::chrono::seconds(word == "infinite" ? kInfinite : number(word));
}

template <typename T>
T required(Result<T> value) {
    if (!value) throw std::invalid_argument(value.error().message);
    return std::move(*value);
}

// The lines of one interface.
class InterfaceParser {
public:
    explicit InterfaceParser(std::string name) {
        actual_.exact = false;  // until a router lifetime is seen
        actual_.config.name = std::move(name);
        actual_.config.max_interval = kDefaultInterval;
        actual_.config.router_lifetime = std::chrono::seconds(0);
    }

    // `words` follow "ipv6 nd" or "no ipv6 nd".
    void take(const std::vector<std::string_view>& words, bool no) {
        any_ = true;
        RaInterface& config = actual_.config;
        std::string_view what = words.at(0);
        if (what == "suppress-ra") {
            actual_.send = no;
        } else if (what == "ra-interval") {
            config.max_interval = words.at(1) == "msec" ? std::chrono::milliseconds(number(words.at(2)))
                                                        : std::chrono::seconds(number(words.at(1)));
        } else if (what == "ra-lifetime") {
            config.router_lifetime = lifetime(words.at(1));
            actual_.exact = true;
        } else if (what == "router-preference") {
            config.preference = preference(words.at(1));
        } else if (what == "mtu") {
            config.mtu = static_cast<std::uint32_t>(number(words.at(1)));
        } else if (what == "managed-config-flag") {
            config.managed = true;
        } else if (what == "other-config-flag") {
            config.other_config = true;
        } else if (what == "prefix") {
            take_prefix(words);
        } else if (what == "rdnss") {
            take_dns_server(words);
        } else {
            foreign_ = true;
        }
    }

    bool any() const { return any_; }
    RaActual finish() {
        if (foreign_) actual_.exact = false;
        actual_.config = normalized(std::move(actual_.config));
        return std::move(actual_);
    }

private:
    static RouterPreference preference(std::string_view word) {
        if (word == "high") return RouterPreference::kHigh;
        return word == "low" ? RouterPreference::kLow : RouterPreference::kMedium;
    }

    // prefix P [VALID PREFERRED] [off-link] [no-autoconfig] [router-address]
    void take_prefix(const std::vector<std::string_view>& words) {
        RaPrefix entry{required(Prefix6::parse(words.at(1))), kDefaultValidLifetime, kDefaultPreferredLifetime};
        std::size_t at = 2;
        if (words.size() > 3 &&
            (words[2] == "infinite" || std::isdigit(static_cast<unsigned char>(words[2][0])) != 0)) {
            entry.valid_lifetime = lifetime(words[2]);
            entry.preferred_lifetime = lifetime(words[3]);
            at = 4;
        }
        if (at < words.size()) foreign_ = true;
        actual_.config.prefixes.push_back(entry);
    }

    void take_dns_server(const std::vector<std::string_view>& words) {
        RaDnsServer server{required(parse_address6(words.at(1))), std::chrono::seconds(0)};
        if (words.size() > 2) {
            server.lifetime = lifetime(words[2]);
        } else {
            foreign_ = true;
        }
        actual_.config.dns_servers.push_back(server);
    }

    RaActual actual_;
    bool any_ = false;
    bool foreign_ = false;  // has something that nett never sets
};

// FRR splits lines at blanks and takes "!" and "#" for the beginning of a comment.
Result<void> check_word(std::string_view what, std::string_view word) {
    bool good = !word.empty() && word[0] != '!' && word[0] != '#' &&
                std::all_of(word.begin(), word.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
    if (good) return {};
    return fail(Code::kInvalidArgument, "{} \"{}\" cannot be written in FRR's configuration", what, word);
}

void clear_lines(std::vector<std::string>& lines, const RaInterface& config) {
    lines.emplace_back(" ipv6 nd suppress-ra");
    for (const RaPrefix& entry : config.prefixes) lines.push_back(" no ipv6 nd prefix " + entry.prefix.to_string());
    for (const RaDnsServer& server : config.dns_servers)
        lines.push_back(" no ipv6 nd rdnss " + server.address.to_string());
    // The lifetime first: it must not be below the interval's default, on the way there.
    for (const char* what :
         {"ra-lifetime", "ra-interval", "router-preference", "mtu", "managed-config-flag", "other-config-flag"})
        lines.push_back(fmt::format(" no ipv6 nd {}", what));
}

std::string_view to_text(RouterPreference preference) {
    if (preference == RouterPreference::kHigh) return "high";
    return preference == RouterPreference::kLow ? "low" : "medium";
}

void put_lines(std::vector<std::string>& lines, const RaInterface& wanted, const RaActual* actual) {
    // Flags of others do not go away by writing the prefix again.
    if (actual != nullptr && !actual->exact) {
        for (const RaPrefix& entry : actual->config.prefixes)
            lines.push_back(" no ipv6 nd prefix " + entry.prefix.to_string());
    }
    for (const RaPrefix& entry : wanted.prefixes) {
        lines.push_back(fmt::format(" ipv6 nd prefix {} {} {}", entry.prefix.to_string(), entry.valid_lifetime.count(),
                                    entry.preferred_lifetime.count()));
    }
    for (const RaDnsServer& server : wanted.dns_servers)
        lines.push_back(fmt::format(" ipv6 nd rdnss {} {}", server.address.to_string(), server.lifetime.count()));
    lines.push_back(fmt::format(" ipv6 nd ra-interval msec {}", wanted.max_interval.count()));
    lines.push_back(fmt::format(" ipv6 nd ra-lifetime {}", wanted.router_lifetime.count()));
    lines.push_back(fmt::format(" ipv6 nd router-preference {}", to_text(wanted.preference)));
    lines.push_back(wanted.mtu ? fmt::format(" ipv6 nd mtu {}", *wanted.mtu) : " no ipv6 nd mtu");
    lines.push_back(fmt::format(" {}ipv6 nd managed-config-flag", wanted.managed ? "" : "no "));
    lines.push_back(fmt::format(" {}ipv6 nd other-config-flag", wanted.other_config ? "" : "no "));
    lines.emplace_back(" no ipv6 nd suppress-ra");
}

}  // namespace

Result<RaTable> parse_running_config(std::string_view text) {
    RaTable table;
    std::optional<InterfaceParser> interface;
    std::string name;
    auto close = [&] {
        if (interface && interface->any()) table.emplace(name, interface->finish());
        interface.reset();
    };
    for (std::string_view line : split(text, '\n')) {
        auto words = words_of(trim(line));
        if (words.empty()) continue;
        bool indented = line.front() == ' ';
        if (!indented) {
            close();
            // "interface NAME vrf VRF": advertisements in another VRF are not ours.
            if (words[0] != "interface" || words.size() != 2) continue;
            name = words[1];
            interface.emplace(name);
            continue;
        }
        bool no = words[0] == "no";
        std::size_t at = no ? 1 : 0;
        if (!interface || words.size() < at + 3 || words[at] != "ipv6" || words[at + 1] != "nd") continue;
        try {
            interface->take({words.begin() + static_cast<std::ptrdiff_t>(at) + 2, words.end()}, no);
        } catch (const std::exception& error) {
            return fail(Code::kDataLoss, "the running configuration is not understood at \"{}\": {}", trim(line),
                        error.what());
        }
    }
    close();
    return table;
}

Result<std::vector<std::string>> config_lines(const RaChange& change, const RaTable& actual) {
    // Everything of one interface stands together: a line of "interface" costs as much as one that changes something.
    std::map<std::string, std::vector<std::string>> by_interface;
    auto actual_of = [&](const std::string& name) {
        auto it = actual.find(name);
        return it == actual.end() ? nullptr : &it->second;
    };
    for (const auto& [name, prefix] : change.delete_prefixes)
        by_interface[name].push_back(" no ipv6 nd prefix " + prefix.to_string());
    for (const auto& [name, address] : change.delete_dns_servers)
        by_interface[name].push_back(" no ipv6 nd rdnss " + address.to_string());
    for (const RaInterface& wanted : change.put) put_lines(by_interface[wanted.name], wanted, actual_of(wanted.name));
    for (const std::string& name : change.clear) {
        const RaActual* had = actual_of(name);
        clear_lines(by_interface[name], had == nullptr ? RaInterface{} : had->config);
    }
    std::vector<std::string> lines;
    for (auto& [name, own] : by_interface) {
        NETT_TRY(check_word("interface", name));
        lines.push_back("interface " + name);
        std::move(own.begin(), own.end(), std::back_inserter(lines));
        lines.emplace_back("exit");
    }
    return lines;
}

Result<void> parse_shown_prefix_list(std::string_view text, const std::string& list, PrefixListTable& table) {
    std::string_view trimmed = trim(text);
    // FRR's answer for a list that does not exist.
    if (trimmed.empty() || trimmed == "{}" || trimmed == "{\"bgpd\":}") return {};
    try {
        json::value root = json::parse(trimmed);
        const json::value* daemon = root.as_object().if_contains("bgpd");
        const json::value* shown = daemon == nullptr ? nullptr : daemon->as_object().if_contains(list);
        if (shown == nullptr) return {};
        for (const json::value& item : shown->at("entries").as_array()) {
            const json::object& entry = item.as_object();
            auto sequence = entry.at("sequenceNumber").to_number<std::uint32_t>();
            auto prefix = Prefix6::parse(std::string_view(entry.at("prefix").as_string()));
            if (!prefix || entry.contains("minimumPrefixLength") || entry.contains("maximumPrefixLength")) {
                table[{list, sequence}] = std::nullopt;
            } else {
                table[{list, sequence}] =
                    PrefixListEntry{list, sequence, entry.at("type").as_string() == "permit", *prefix};
            }
        }
        return {};
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "bgpd's answer about prefix list {} is not understood: {}", list, error.what());
    }
}

Result<std::vector<std::string>> config_lines(const PrefixListChange& change) {
    std::vector<std::string> lines;
    for (const auto& [list, sequence] : change.remove) {
        NETT_TRY(check_word("prefix list", list));
        lines.push_back(fmt::format("no ipv6 prefix-list {} seq {}", list, sequence));
    }
    for (const PrefixListEntry& entry : change.put) {
        NETT_TRY(check_word("prefix list", entry.list));
        lines.push_back(fmt::format("ipv6 prefix-list {} seq {} {} {}", entry.list, entry.sequence,
                                    entry.permit ? "permit" : "deny", entry.prefix.to_string()));
    }
    return lines;
}

std::string refusal_of(std::string_view output) {
    std::string said;
    for (std::string_view line : split(output, '\n')) {
        line = trim(line);
        if (line.empty() || line.find("No changes found to be committed") != std::string_view::npos) continue;
        if (line.front() == '[') continue;  // "[123|mgmtd] done": progress of the children of vtysh
        if (!said.empty()) said += ' ';
        said += line;
    }
    return said.find('%') == std::string::npos ? std::string() : said;
}

}  // namespace nett
