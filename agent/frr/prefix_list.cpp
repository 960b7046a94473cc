#include "agent/frr/prefix_list.hpp"

#include <boost/json.hpp>

namespace nett {
namespace {

namespace json = boost::json;

std::optional<PrefixListEntry> parse_entry(const std::string& list, std::uint32_t sequence,
                                           const json::object& object) {
    const json::value* prefix_text = object.if_contains("ipv6-prefix");
    if (prefix_text == nullptr || object.contains("ipv6-prefix-length-greater-or-equal") ||
        object.contains("ipv6-prefix-length-lesser-or-equal")) {
        return std::nullopt;
    }
    auto prefix = Prefix6::parse(std::string_view(prefix_text->as_string()));
    if (!prefix) return std::nullopt;
    return PrefixListEntry{list, sequence, object.at("action").as_string() == "permit", *prefix};
}

}  // namespace

PrefixListChange plan_prefix_lists(const DeclaredEntries& declared, const std::set<EntryKey>& unwanted,
                                   const PrefixListTable& actual) {
    PrefixListChange change;
    for (const auto& [key, entry] : declared) {
        auto it = actual.find(key);
        if (it != actual.end() && it->second == entry) continue;
        // A foreign value (any, ge, le) does not go away by merging: make the entry anew.
        if (it != actual.end() && !it->second) change.remove.push_back(key);
        change.put.push_back(entry);
    }
    for (const EntryKey& key : unwanted) {
        if (!declared.contains(key) && actual.contains(key)) change.remove.push_back(key);
    }
    return change;
}

std::string prefix_list_path(std::string_view list) {
    return fmt::format("/frr-filter:lib/prefix-list[type=\"ipv6\"][name=\"{}\"]", list);
}

Result<void> parse_prefix_list(std::string_view json_text, PrefixListTable& table) {
    if (json_text.empty()) return {};
    try {
        json::value root = json::parse(json_text);
        // The node itself, without its parents, is what Get prints.
        const json::value* lists = root.as_object().if_contains("frr-filter:prefix-list");
        if (lists == nullptr) return {};
        for (const json::value& item : lists->as_array()) {
            const json::object& list = item.as_object();
            const json::value* entries = list.if_contains("entry");
            if (entries == nullptr || list.at("type").as_string() != "ipv6") continue;
            std::string name(list.at("name").as_string());
            for (const json::value& entry : entries->as_array()) {
                auto sequence = entry.at("sequence").to_number<std::uint32_t>();
                table[{name, sequence}] = parse_entry(name, sequence, entry.as_object());
            }
        }
        return {};
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "bgpd's prefix lists are not what frr-filter.yang describes: {}", error.what());
    }
}

std::string merge_json(const PrefixListChange& change) {
    if (change.put.empty()) return {};
    std::map<std::string, json::array> entries;
    for (const PrefixListEntry& entry : change.put) {
        entries[entry.list].push_back(json::object{{"sequence", entry.sequence},
                                                   {"action", entry.permit ? "permit" : "deny"},
                                                   {"ipv6-prefix", entry.prefix.to_string()}});
    }
    json::array lists;
    for (auto& [name, list] : entries) {
        lists.push_back(json::object{{"type", "ipv6"}, {"name", name}, {"entry", std::move(list)}});
    }
    json::object lib{{"prefix-list", std::move(lists)}};
    return json::serialize(json::object{{"frr-filter:lib", std::move(lib)}});
}

std::vector<std::string> delete_paths(const PrefixListChange& change) {
    std::vector<std::string> paths;
    for (const auto& [list, sequence] : change.remove) {
        paths.push_back(fmt::format("{}/entry[sequence=\"{}\"]", prefix_list_path(list), sequence));
    }
    return paths;
}

}  // namespace nett
