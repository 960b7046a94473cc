// Conditional and range requests (RFC 9110 sections 13 and 14), for any answer that is a file. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// One ISO read by a BMC asks for one range at a time, a download tool for a handful; the rest is abuse.
inline constexpr std::size_t kMaxRanges = 16;

// What a Range field asks of `size` bytes. Ranges that overlap or touch are joined where the first of them stands, so
// that no answer is longer than the file and its parts' heads.
struct RangeRequest {
    enum class Kind {
        kWhole,  // no such field, another unit, malformed, or more than kMaxRanges: answered as if it were not there
        kParts,
        kUnsatisfiable,  // well-formed, and no byte of it exists
    } kind = Kind::kWhole;
    std::vector<ByteRange> ranges = {};  // kParts: at least one
};
RangeRequest parse_ranges(std::string_view field, std::uint64_t size);

// RFC 9110 section 13.1.2: true when `field` is "*" or lists the tag (weak comparison).
bool matches_etag(std::string_view field, std::string_view etag);
// RFC 9110 section 13.1.1: the same by strong comparison, for If-Match.
bool matches_etag_strongly(std::string_view field, std::string_view etag);

// Turns a 200 with an ETag into what the request's conditions and ranges make of it: 412, 304, 206 (one part or
// multipart/byteranges) or 416, evaluated in the order of section 13.2.2. Ranges only where accept_ranges is set.
Response conditional(Response response, const Request& request);

}  // namespace nett::metadata
