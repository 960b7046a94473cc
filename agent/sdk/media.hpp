// Images for BMCs: how a job gets a URL that a BMC can fetch once, and how it sees what became of it.
//
// The media listener (plugin metadata) serves "<origin>/m/<token>/<name>.iso" while the grant with the token's digest
// exists and has not expired, to the grant's sources only. The token stands in the path, because some BMCs refuse a "?"
// in a URL, and the URL ends in ".iso", because some look at nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// Beside an image: its digest, as sha256sum and `talos-fabric-builder image` write it.
inline constexpr std::string_view kMediaDigestSuffix = ".sha256";

// A grant and the URL that it is for. The URL carries the token: seal it, and never log it.
struct MediaIssue {
    MediaGrant grant;
    std::string url;
};

// Makes a token (128 random bits of OpenSSL's RAND) and completes `grant`, whose other members the caller has set:
// `file` is an absolute path in the listener's media directory. `origin` is the listener's,
// "https://[2001:db8::1]:8443". Without a digest the grant gets the one that stands beside the image, "<file>.sha256";
// when there is none either, the first fetch decides what the image has to stay. The caller stores the grant (put_of)
// before it hands out the URL. kInvalidArgument: no such origin, a file whose name is not plain (letters, digits,
// "._-") or does not end in ".iso", or a digest's file without a digest. kInternal: no random bytes.
Result<MediaIssue> issue_media(std::string_view origin, MediaGrant grant);

// The record key of a token: its SHA-256. kInvalidArgument for what is no token.
Result<std::string> media_key(std::string_view token);

// What may be the last segment of a media URL, and so the name of an image: plain, and ending in ".iso".
bool is_media_name(std::string_view name);

// How much of a grant's image was fetched. Written by the media listener, at most once a second for each grant, and
// deleted with the grant.
inline constexpr std::string_view kMediaUseKind = "media-use";  // the grant's key
struct MediaUse {
    std::string token_sha256;  // the record's key
    std::string job;
    std::string machine;
    std::string source;  // of the last request, text
    SystemTime first{};
    SystemTime last{};
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;  // sent in all, repeats included
    std::uint64_t size = 0;   // of the image
    bool complete = false;    // every byte of the image was sent at least once, within one run of the agent
};
boost::json::value to_json(const MediaUse& value);
template <>
Result<MediaUse> decode<MediaUse>(std::string_view json_text);
Transaction::Put put_of(const MediaUse& value);

}  // namespace nett
