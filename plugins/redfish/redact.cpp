#include "plugins/redfish/redact.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "agent/sdk/redact.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/redfish/json.hpp"

namespace nett::redfish {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxShownBytes = 300;

bool is_secret_name(std::string_view name) {
    constexpr std::array<std::string_view, 6> kParts{"password", "token",      "authorization",
                                                     "secret",   "credential", "cookie"};
    const std::string lower = to_lower(name);
    return std::any_of(kParts.begin(), kParts.end(),
                       [&](std::string_view part) { return lower.find(part) != std::string::npos; });
}

// Header lines that a task's payload echoes: "X-Auth-Token: …".
bool is_secret_header(std::string_view text) {
    const auto colon = text.find(':');
    return colon != std::string_view::npos && colon < 40 && is_secret_name(text.substr(0, colon));
}

void redact_value(json::value& value) {
    if (json::object* object = value.if_object()) {
        for (auto& member : *object) {
            if (is_secret_name({member.key().data(), member.key().size()}) && !member.value().is_object()) {
                member.value() = "***";
            } else {
                redact_value(member.value());
            }
        }
    } else if (json::array* array = value.if_array()) {
        for (json::value& element : *array) redact_value(element);
    } else if (const json::string* text = value.if_string()) {
        const std::string_view shown{text->data(), text->size()};
        value = is_secret_header(shown) ? std::string("***") : redact_text(shown);
    }
}

// Cuts at `limit` bytes without splitting a UTF-8 character.
std::string cut(std::string text, std::size_t limit) {
    if (text.size() <= limit) return text;
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80U) --limit;
    text.resize(limit);
    return text + "…";
}

// Redacts the JSON that a payload carries as text (Task.Payload.JsonBody).
void redact_payloads(json::object& object) {
    if (json::value* payload = object.if_contains("Payload"); payload != nullptr) *payload = "***";
}

}  // namespace

std::string redact_text(std::string_view text) {
    std::string out;
    while (!text.empty() && out.size() <= kMaxShownBytes) {
        const auto url = std::min(text.find("http"), text.size());
        out += text.substr(0, url);
        text.remove_prefix(url);
        if (text.empty()) break;
        const auto end = std::min(text.find_first_of(" \t\r\n\"'<>,;)"), text.size());
        out += redact_url(text.substr(0, end));
        text.remove_prefix(end);
    }
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    }
    return cut(std::move(out), kMaxShownBytes);
}

std::string redact_json(std::string_view body) {
    if (body.empty()) return {};
    auto object = parse_object(body);
    if (!object) return fmt::format("({} bytes, not JSON)", body.size());
    redact_payloads(*object);
    json::value value = std::move(*object);
    redact_value(value);
    return cut(json::serialize(value), kMaxShownBytes);
}

}  // namespace nett::redfish
