#include "plugins/metadata/netbox.hpp"

#include <algorithm>
#include <utility>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace json = boost::json;

namespace {

constexpr std::int64_t kRecordVersion = 1;

// The text at a dotted path: a string, a number, or the "name" of an object there. Empty: none.
std::string text_at(const json::object& object, std::string_view path) {
    const json::object* at = &object;
    const auto steps = split(path, '.');
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto* value = at->if_contains(steps[i]);
        if (value == nullptr) return {};
        if (i + 1 == steps.size()) {
            if (const auto* nested = value->if_object()) value = nested->if_contains("name");
            if (value == nullptr) return {};
            if (const auto* text = value->if_string()) return std::string(trim({text->data(), text->size()}));
            return value->is_int64() ? std::to_string(value->get_int64()) : std::string();
        }
        at = value->if_object();
        if (at == nullptr) return {};
    }
    return {};
}

std::optional<Prefix6> prefix_of(const json::object& object, NetboxObjects objects) {
    const auto* member = object.if_contains(objects == NetboxObjects::kPrefixes ? "prefix" : "address");
    if (member == nullptr || !member->is_string()) return std::nullopt;
    const std::string_view text(member->get_string());
    if (objects == NetboxObjects::kPrefixes) {
        const auto prefix = Prefix6::parse(text);
        return prefix ? std::optional(*prefix) : std::nullopt;
    }
    const auto address = InterfaceAddress::parse(text);
    constexpr unsigned kHostLength = 128;
    return address ? std::optional(Prefix6(address->address, kHostLength)) : std::nullopt;
}

}  // namespace

Result<HttpsUrl> parse_netbox_origin(std::string_view url) {
    auto origin = HttpsUrl::parse(url);
    if (origin && origin->target == "/") return origin;
    return fail(Code::kInvalidArgument,
                "\"{}\" is no HTTPS origin: {}; write e.g. https://netbox.example or https://[2001:db8::5]:8443", url,
                origin ? "it has a path" : origin.error().message);
}

std::string_view default_netbox_field(NetboxObjects objects) {
    // A prefix has no device in NetBox's data model; a custom field of type "object" can name one.
    return objects == NetboxObjects::kPrefixes ? "custom_fields.device" : "assigned_object.device";
}

bool is_netbox_filter(std::string_view text) {
    constexpr std::size_t kMaxFilter = 512;
    constexpr std::string_view kPunctuation = "-._~%=&+:/@,";
    const bool plain = text.size() <= kMaxFilter && std::all_of(text.begin(), text.end(), [&](char c) {
                           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                  kPunctuation.find(c) != std::string_view::npos;
                       });
    if (!plain) return false;
    for (const auto pair : split(text, '&')) {
        const auto key = pair.substr(0, pair.find('='));
        if (key == "limit" || key == "offset") return false;
    }
    return true;
}

std::string netbox_target(const NetboxSettings& settings, std::size_t offset) {
    const auto* path = settings.objects == NetboxObjects::kPrefixes ? "prefixes" : "ip-addresses";
    auto target = fmt::format("/api/ipam/{}/?limit={}&offset={}&family=6", path, kNetboxPageSize, offset);
    if (!settings.filter.empty()) target += "&" + settings.filter;
    return target;
}

Result<std::string> netbox_authorization(std::string_view token_text) {
    const auto token = trim(token_text);
    const bool plain =
        !token.empty() && std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; });
    if (!plain) return fail(Code::kInvalidArgument, "is not one NetBox API token");
    return (token.starts_with("nbt_") ? "Bearer " : "Token ") + std::string(token);
}

Result<NetboxPage> parse_netbox_page(std::string_view body, const NetboxSettings& settings) {
    const auto wrong = [](std::string_view what) {
        return fail(Code::kDataLoss, "NetBox's answer is not what its API documents: {}", what);
    };
    json::error_code error;
    const auto value = json::parse(body, error);
    if (error) return wrong("no JSON");
    const auto* page = value.if_object();
    const auto* results = page == nullptr ? nullptr : page->if_contains("results");
    if (results == nullptr || !results->is_array()) return wrong("no \"results\"");
    NetboxPage out;
    out.results = results->get_array().size();
    const auto* next = page->if_contains("next");
    out.more = next != nullptr && next->is_string();
    if (out.more && out.results == 0) return wrong("an empty page with another behind it");
    for (const auto& item : results->get_array()) {
        const auto* object = item.if_object();
        if (object == nullptr) return wrong("a result that is no object");
        NetboxEntry entry;
        entry.machine = text_at(*object, settings.field);
        const auto prefix = prefix_of(*object, settings.objects);
        if (entry.machine.empty() || !prefix) {
            ++out.skipped;
            continue;
        }
        entry.prefix = *prefix;
        if (const auto* id = object->if_contains("id"); id != nullptr && id->is_int64()) {
            entry.id = static_cast<std::uint64_t>(id->get_int64());
        }
        out.entries.push_back(std::move(entry));
    }
    return out;
}

NetboxTable make_netbox_table(std::vector<NetboxEntry> entries) {
    NetboxTable out;
    std::map<std::string, std::vector<Prefix6>> by_machine;
    std::map<Prefix6, std::vector<std::string>> by_prefix;
    const auto add = [](auto& list, const auto& one) {
        if (std::find(list.begin(), list.end(), one) == list.end()) list.push_back(one);
    };
    for (const auto& entry : entries) {
        add(by_machine[entry.machine], entry.prefix);
        add(by_prefix[entry.prefix], entry.machine);
    }
    for (const auto& [machine, prefixes] : by_machine) {
        if (prefixes.size() == 1) continue;
        out.problems.push_back(fmt::format("{} has {} prefixes in NetBox ({}, {}, …); narrow \"netbox filter\"",
                                           machine, prefixes.size(), prefixes[0].to_string(), prefixes[1].to_string()));
    }
    for (const auto& [prefix, machines] : by_prefix) {
        if (machines.size() == 1) continue;
        out.problems.push_back(
            fmt::format("{} is given to {} and {} in NetBox", prefix.to_string(), machines[0], machines[1]));
    }
    for (auto& entry : entries) {
        if (by_machine[entry.machine].size() != 1 || by_prefix[entry.prefix].size() != 1) continue;
        auto machine = entry.machine;
        out.entries.insert_or_assign(std::move(machine), std::move(entry));
    }
    return out;
}

Transaction::Put put_of(const NetboxPrefix& value) {
    const json::object object{
        {"version", kRecordVersion}, {"machine", value.entry.machine},       {"prefix", value.entry.prefix.to_string()},
        {"id", value.entry.id},      {"fetched", to_rfc3339(value.fetched)}, {"gone", value.gone}};
    return {std::string(kNetboxPrefixKind), value.entry.machine, json::serialize(object), {}};
}

Result<NetboxPrefix> decode_netbox_prefix(std::string_view json_text) {
    const auto unusable = [] { return fail(Code::kDataLoss, "the stored NetBox prefix is not usable"); };
    json::error_code error;
    const auto value = json::parse(json_text, error);
    if (error || !value.is_object()) return unusable();
    const auto& object = value.get_object();
    const auto* version = object.if_contains("version");
    if (version == nullptr || *version != kRecordVersion) return unusable();
    const auto text = [&](std::string_view name) {
        const auto* member = object.if_contains(name);
        return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
    };
    NetboxPrefix out;
    out.entry.machine = text("machine");
    const auto prefix = Prefix6::parse(text("prefix"));
    const auto fetched = parse_rfc3339(text("fetched"));
    if (!prefix || !fetched || out.entry.machine.empty()) return unusable();
    out.entry.prefix = *prefix;
    out.fetched = *fetched;
    if (const auto* id = object.if_contains("id")) out.entry.id = id->to_number<std::uint64_t>(error);
    const auto* gone = object.if_contains("gone");
    out.gone = gone != nullptr && gone->is_bool() && gone->get_bool();
    return out;
}

std::chrono::seconds netbox_backoff(unsigned failures, std::chrono::seconds refresh,
                                    std::optional<std::chrono::seconds> told) {
    std::chrono::seconds wait = kNetboxFirstRetry;
    for (unsigned i = 1; i < failures && wait < refresh; ++i) wait *= 2;
    wait = std::min(wait, std::max(refresh, std::chrono::seconds(kNetboxFirstRetry)));
    if (told) wait = std::max(wait, std::min(*told, std::chrono::seconds(kNetboxMaxRetryAfter)));
    return wait;
}

}  // namespace nett::metadata
