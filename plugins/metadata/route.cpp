#include "plugins/metadata/route.hpp"

#include <algorithm>
#include <vector>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr std::size_t kMaxSegments = 4;  // v1 / config / ID / config.sqsh

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// RFC 3986 section 2.1.
Result<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0) return fail(Code::kInvalidArgument, "broken percent-encoding");
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

// Decoding comes after splitting and the whitelist after decoding: an encoded slash or dot-dot is refused here.
Result<std::vector<std::string>> path_segments(std::string_view path) {
    if (path.empty() || path.front() != '/') return fail(Code::kInvalidArgument, "not an absolute path");
    std::vector<std::string> out;
    for (const auto part : split(path.substr(1), '/')) {
        auto decoded = percent_decode(part);
        if (!decoded) return fail(std::move(decoded.error()));
        const bool plain = !decoded->empty() && decoded->size() <= kMaxSegmentBytes && decoded->front() != '.' &&
                           std::all_of(decoded->begin(), decoded->end(), [](char c) {
                               return is_alphanumeric(c) || std::string_view("._+-:").find(c) != std::string_view::npos;
                           });
        if (!plain) return fail(Code::kInvalidArgument, "a path segment with other than letters, digits and ._+-:");
        out.push_back(std::move(*decoded));
        if (out.size() > kMaxSegments) return fail(Code::kNotFound, "no such resource");
    }
    return out;
}

// Adds what `text` says to what is known already; the earlier source wins.
Result<void> add_id(MachineId& id, std::string_view text) {
    auto parsed = parse_machine_id(text);
    if (!parsed) return fail(std::move(parsed.error()));
    if (!id.uuid) id.uuid = parsed->uuid;
    if (!id.mac) id.mac = parsed->mac;
    return {};
}

Result<MachineId> machine_id(std::string_view segment, std::string_view query) {
    MachineId id;
    NETT_TRY(add_id(id, segment));
    if (query.empty()) return id;
    for (const auto pair : split(query, '&')) {
        const auto equals = pair.find('=');
        const auto key = pair.substr(0, equals);
        if (equals == std::string_view::npos || (key != "mac" && key != "uuid")) continue;
        auto value = percent_decode(pair.substr(equals + 1));
        if (!value) return fail(std::move(value.error()));
        // iPXE sends "mac=" when there is no such setting.
        if (value->empty()) continue;
        NETT_TRY(add_id(id, *value));
    }
    return id;
}

Result<Route> config_route(const std::vector<std::string>& segments, std::string_view query) {
    ConfigRoute route;
    if (segments.size() == 4) {
        if (segments[3] == "extensions.yaml") {
            route.part = ConfigPart::kExtensions;
        } else if (segments[3] == "config.sqsh") {
            route.part = ConfigPart::kSquashfs;
        } else {
            return fail(Code::kNotFound, "no such resource");
        }
    }
    auto id = machine_id(segments[2], query);
    if (!id) return fail(std::move(id.error()));
    route.id = std::move(*id);
    return Route(std::move(route));
}

}  // namespace

bool is_plain_name(std::string_view text) {
    return !text.empty() && text.size() <= kMaxSegmentBytes && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return is_alphanumeric(c) || std::string_view("._+-").find(c) != std::string_view::npos;
           });
}

Result<Route> parse_target(std::string_view target) {
    const auto question = target.find('?');
    const auto query = question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    auto parsed = path_segments(target.substr(0, question));
    if (!parsed) return fail(std::move(parsed.error()));
    const auto& segments = *parsed;
    if (segments.size() < 3 || segments[0] != "v1") return fail(Code::kNotFound, "no such resource");
    if (segments[1] == "boot" && segments.size() == 3) {
        auto id = machine_id(segments[2], query);
        if (!id) return fail(std::move(id.error()));
        return Route(BootRoute{std::move(*id)});
    }
    if (segments[1] == "config") return config_route(segments, query);
    if (segments[1] == "artifacts") {
        ArtifactRoute route;
        if (segments.size() == 4) route.set = segments[2];
        route.file = segments.back();
        return Route(std::move(route));
    }
    return fail(Code::kNotFound, "no such resource");
}

}  // namespace nett::metadata
