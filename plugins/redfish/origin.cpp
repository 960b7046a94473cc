#include "plugins/redfish/origin.hpp"

#include <algorithm>
#include <optional>

#include "agent/sdk/strings.hpp"

namespace nett::redfish {
namespace {

struct SplitUrl {
    bool tls = true;
    std::string_view authority;
    std::string_view rest;  // path, query, fragment; may be empty
};

std::optional<SplitUrl> split_url(std::string_view text) {
    const auto colon = text.find("://");
    if (colon == std::string_view::npos) return std::nullopt;
    SplitUrl url;
    const std::string scheme = to_lower(text.substr(0, colon));
    if (scheme != "http" && scheme != "https") return std::nullopt;
    url.tls = scheme == "https";
    text.remove_prefix(colon + 3);
    const auto path = std::min(text.find_first_of("/?#"), text.size());
    url.authority = text.substr(0, path);
    url.rest = text.substr(path);
    return url;
}

Result<Origin> parse_authority(bool tls, std::string_view authority) {
    Origin origin;
    origin.tls = tls;
    origin.port = tls ? 443 : 80;
    const auto close = authority.find(']');
    if (!authority.starts_with('[') || close == std::string_view::npos) {
        return fail(Code::kInvalidArgument, "\"{}\" is not an IPv6 address in brackets", authority);
    }
    auto address = parse_address6(authority.substr(1, close - 1));
    if (!address) return fail(std::move(address.error()));
    origin.address = *address;
    const std::string_view port = authority.substr(close + 1);
    if (port.empty()) return origin;
    auto number = parse_integer(port.substr(1), 1, 65535);
    if (port.front() != ':' || !number) return fail(Code::kInvalidArgument, "\"{}\" is not a port", port);
    origin.port = static_cast<std::uint16_t>(*number);
    return origin;
}

bool is_plain_path(std::string_view path) {
    if (path.empty() || path.front() != '/' || path.starts_with("//") || path.size() > kMaxLinkBytes) return false;
    return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f && c != '\\' && c != '#'; });
}

}  // namespace

Result<Origin> Origin::parse(std::string_view endpoint) {
    const auto url = split_url(endpoint);
    if (!url) {
        return fail(Code::kInvalidArgument, "\"{}\" is not a BMC endpoint; write https://[2001:db8::1]", endpoint);
    }
    if (!url->rest.empty() && url->rest != "/") {
        return fail(Code::kInvalidArgument, "\"{}\" has a path; a BMC endpoint is only https://[address]:port",
                    endpoint);
    }
    return parse_authority(url->tls, url->authority);
}

std::string Origin::host_header() const {
    std::string host = "[" + address.to_string() + "]";
    if (port != (tls ? 443 : 80)) host += ":" + std::to_string(port);
    return host;
}

Result<void> check_allowed(const Origin& origin, const std::vector<Prefix6>& allowed) {
    const bool found =
        std::any_of(allowed.begin(), allowed.end(), [&](const Prefix6& p) { return p.contains(origin.address); });
    if (found) return {};
    return fail(Code::kPermissionDenied, "the BMC's address {} is in no \"allow-bmc\" prefix of plugin redfish",
                origin.address.to_string());
}

Result<std::string> resolve_link(const Origin& origin, std::string_view link) {
    if (const auto url = split_url(link)) {
        const auto other = parse_authority(url->tls, url->authority);
        if (!other || !(*other == origin)) {
            return fail(Code::kPermissionDenied, "the BMC's answer links to another origin; the link is not followed");
        }
        link = url->rest;
    } else if (link.starts_with("//")) {
        return fail(Code::kPermissionDenied, "the BMC's answer links to another origin; the link is not followed");
    }
    if (!is_plain_path(link)) return fail(Code::kInvalidArgument, "the BMC's answer has a link that is no plain path");
    return std::string(link);
}

Result<void> check_image_url(std::string_view text) {
    const auto url = split_url(text);
    if (!url) return fail(Code::kInvalidArgument, "\"{}\" is not an http or https URL", text);
    if (auto origin = parse_authority(url->tls, url->authority); !origin) return fail(std::move(origin.error()));
    if (!is_plain_path(url->rest) || url->rest.find_first_of("?&\"") != std::string_view::npos) {
        return fail(Code::kInvalidArgument, "\"{}\" has characters that BMCs refuse in an image URL", text);
    }
    if (!to_lower(url->rest).ends_with(".iso")) {
        return fail(Code::kInvalidArgument, "the path of \"{}\" does not end in .iso, which BMCs insist on", text);
    }
    return {};
}

bool same_image(std::string_view wanted, std::string_view reported) {
    if (wanted == reported) return true;
    const auto a = split_url(wanted);
    const auto b = split_url(reported);
    if (!a || !b || a->rest != b->rest) return false;
    const auto first = parse_authority(a->tls, a->authority);
    const auto second = parse_authority(b->tls, b->authority);
    return first && second && *first == *second;
}

}  // namespace nett::redfish
