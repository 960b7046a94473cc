// Where a BMC is, and which links of its answers may be followed: only those on its own origin (RFC 6454).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"

namespace nett::redfish {

// scheme://[IPv6]:port. Names are refused: they would have to be resolved, and the answer checked again at every
// connect.
struct Origin {
    bool tls = true;
    Address6 address;
    std::uint16_t port = 443;

    static Result<Origin> parse(std::string_view endpoint);
    // "[2001:db8::1]:8443", with the port left out when it is the scheme's own.
    std::string host_header() const;
    friend bool operator==(const Origin& a, const Origin& b) {
        return a.tls == b.tls && a.address == b.address && a.port == b.port;
    }
};

// kPermissionDenied unless one of the prefixes contains the BMC's address.
Result<void> check_allowed(const Origin& origin, const std::vector<Prefix6>& allowed);

// The path that an `@odata.id`, an action's `target` or a `Location` names. kPermissionDenied when it leads to another
// origin, kInvalidArgument when it is no plain absolute path of at most kMaxLinkBytes printable characters.
inline constexpr std::size_t kMaxLinkBytes = 1024;
Result<std::string> resolve_link(const Origin& origin, std::string_view link);

// http(s)://[IPv6]…/….iso: what a BMC may be told to mount. Some refuse `?` and `&`, all want to see the extension.
Result<void> check_image_url(std::string_view url);

// Whether a BMC that reports `reported` has mounted `wanted`: equal as URLs (case of scheme and host, default port).
bool same_image(std::string_view wanted, std::string_view reported);

}  // namespace nett::redfish
