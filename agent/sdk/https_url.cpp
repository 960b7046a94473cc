#include "agent/sdk/https_url.hpp"

#include <algorithm>

#include "agent/sdk/address.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::string_view kScheme = "https://";
constexpr std::uint16_t kHttpsPort = 443;

bool is_host_name(std::string_view text) {
    constexpr std::size_t kMaxHostName = 253;  // RFC 1035 section 2.3.4
    // No name by RFC 952, but intranets have underscores.
    const auto good = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_';
    };
    return !text.empty() && text.size() <= kMaxHostName && text.front() != '-' && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), good);
}

Result<void> parse_host(std::string_view text, HttpsUrl& out) {
    out.literal = text.starts_with('[') && text.ends_with(']');
    if (out.literal) {
        const auto address = parse_address6(text.substr(1, text.size() - 2));
        if (!address) return fail(Code::kInvalidArgument, "\"{}\" is no IPv6 address in brackets", text);
        out.host = address->to_string();
        return {};
    }
    out.host = to_lower(text);
    if (!is_host_name(out.host))
        return fail(Code::kInvalidArgument, "\"{}\": name a host or an IPv6 address in brackets", text);
    if (out.host.find_first_not_of("0123456789.") == std::string::npos)
        return fail(Code::kInvalidArgument, "IPv4 is not spoken; name a host or an IPv6 address in brackets");
    return {};
}

}  // namespace

Result<HttpsUrl> HttpsUrl::parse(std::string_view text) {
    if (!text.starts_with(kScheme)) return fail(Code::kInvalidArgument, "give an https:// URL");
    auto rest = text.substr(kScheme.size());
    rest = rest.substr(0, rest.find('#'));
    const auto plain = [](char c) { return c > ' ' && c < '\x7f'; };
    if (!std::all_of(rest.begin(), rest.end(), plain))
        return fail(Code::kInvalidArgument, "write blanks and other characters of the URL as %20 and the like");
    const auto path = std::min(rest.find_first_of("/?"), rest.size());
    auto authority = rest.substr(0, path);
    HttpsUrl out;
    if (path < rest.size()) out.target = rest.substr(path);
    if (out.target.front() != '/') out.target.insert(0, "/");
    if (authority.find('@') != std::string_view::npos)
        return fail(Code::kInvalidArgument, "no user in the URL: it would be shown with it");
    const auto bracket = authority.find(']');
    const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
        const auto port = parse_integer(authority.substr(colon + 1), 1, 65535);
        if (!port) return fail(Code::kInvalidArgument, "port: {}", port.error().message);
        out.port = static_cast<std::uint16_t>(*port);
        authority = authority.substr(0, colon);
    }
    NETT_TRY(parse_host(authority, out));
    return out;
}

std::string HttpsUrl::authority() const {
    const std::string shown = literal ? "[" + host + "]" : host;
    return port == kHttpsPort ? shown : fmt::format("{}:{}", shown, port);
}

}  // namespace nett
