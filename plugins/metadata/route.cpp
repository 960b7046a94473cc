#include "plugins/metadata/route.hpp"

#include <algorithm>
#include <vector>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr std::size_t kMaxSegments = 6;  // v1 / artifacts / VERSION / ARCHITECTURE / SCHEMATIC / FILE

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
    if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
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

// SMBIOS strings are printable ASCII (SMBIOS 3.x section 6.1.3); anything else finds no machine.
std::string serial_of(const std::string& text) {
    const auto trimmed = trim(text);
    const bool printable = trimmed.size() <= kMaxSegmentBytes &&
                           std::all_of(trimmed.begin(), trimmed.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    return printable ? std::string(trimmed) : std::string();
}

struct Query {
    AskedId asked;
    std::string token;
};

// `segment` is the path's id, empty when it has none. Unknown parameters are left alone.
Result<Query> parse_query(std::string_view segment, std::string_view query) {
    Query out;
    bool named = !segment.empty();
    if (named) NETT_TRY(add_id(out.asked.id, segment));
    for (const auto pair : split(query, '&')) {
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos) continue;
        const auto key = pair.substr(0, equals);
        const bool id = key == "mac" || key == "uuid";
        if (!id && key != "serial" && key != "t") continue;
        auto value = percent_decode(pair.substr(equals + 1));
        if (!value) return fail(std::move(value.error()));
        // iPXE sends "mac=" when there is no such setting.
        if (value->empty()) continue;
        if (key == "t") {
            if (out.token.empty()) out.token = std::move(*value);
            continue;
        }
        named = true;
        if (id) {
            NETT_TRY(add_id(out.asked.id, *value));
        } else if (out.asked.serial.empty()) {
            out.asked.serial = serial_of(*value);
        }
    }
    if (!named) return fail(Code::kInvalidArgument, "no machine is named");
    return out;
}

// The id in the path, or nothing.
std::string_view id_of(const std::vector<std::string>& segments) {
    return segments.size() > 2 ? std::string_view(segments[2]) : std::string_view();
}

Result<Route> boot_route(const std::vector<std::string>& segments, std::string_view query) {
    if (segments.size() > 3) return fail(Code::kNotFound, "no such resource");
    auto parsed = parse_query(id_of(segments), query);
    if (!parsed) return fail(std::move(parsed.error()));
    return Route(BootRoute{std::move(parsed->asked)});
}

Result<Route> config_route(const std::vector<std::string>& segments, std::string_view query) {
    ConfigRoute route;
    if (segments.size() == 4 && segments[3] == "extensions.yaml") {
        route.part = ConfigPart::kExtensions;
    } else if (segments.size() == 4 && segments[3] == "config.sqsh") {
        route.part = ConfigPart::kSquashfs;
    } else if (segments.size() > 3) {
        return fail(Code::kNotFound, "no such resource");
    }
    auto parsed = parse_query(id_of(segments), query);
    if (!parsed) return fail(std::move(parsed.error()));
    route.asked = std::move(parsed->asked);
    route.token = std::move(parsed->token);
    return Route(std::move(route));
}

Result<Route> artifact_route(const std::vector<std::string>& segments, std::string_view query) {
    const auto given = segments.size() - 2;
    if (given == 0) return fail(Code::kNotFound, "no such resource");
    ArtifactRoute route;
    route.file = segments.back();
    if (given == 2) route.set = segments[2];
    if (given > 2) {
        route.version = segments[2];
        route.architecture = segments[3];
        if (given > 3) route.schematic = segments[4];
    }
    if (given == 1 && !query.empty()) {
        // The flat names need no machine; a query that names none is as good as no query.
        if (auto parsed = parse_query("", query)) route.asked = std::move(parsed->asked);
    }
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
    if (segments.size() < 2 || segments[0] != "v1") return fail(Code::kNotFound, "no such resource");
    if (segments[1] == "boot") return boot_route(segments, query);
    if (segments[1] == "config") return config_route(segments, query);
    if (segments[1] == "artifacts") return artifact_route(segments, query);
    return fail(Code::kNotFound, "no such resource");
}

}  // namespace nett::metadata
