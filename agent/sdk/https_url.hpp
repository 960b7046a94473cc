// "https://host[:port][/path][?query]": where a server that we ask is. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett {

struct HttpsUrl {
    std::string host;      // lower case; an address without brackets, as RFC 5952 writes it
    bool literal = false;  // host is an IPv6 address
    std::uint16_t port = 443;
    std::string target = "/";  // path and query, as the request line has them

    // kInvalidArgument, with what to write instead: another scheme, user information, no host, an IPv4 address, blanks.
    // A fragment is the reader's own business (RFC 9110 section 4.2.5) and is left out.
    static Result<HttpsUrl> parse(std::string_view text);
    // "host", "[address]", with ":port" when it is not 443: the Host field, and how errors call the server.
    std::string authority() const;
    friend bool operator==(const HttpsUrl&, const HttpsUrl&) = default;
};

}  // namespace nett
