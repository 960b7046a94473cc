#include "plugins/metadata/ranges.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "agent/sdk/strings.hpp"

namespace nett::metadata {

namespace {

std::optional<std::uint64_t> digits(std::string_view text) {
    const auto value = parse_integer(text, 0, std::numeric_limits<std::int64_t>::max());
    if (!value) return std::nullopt;
    return static_cast<std::uint64_t>(*value);
}

// One range-spec. nullopt: malformed. A count of 0: none of its bytes exist.
std::optional<ByteRange> parse_one(std::string_view text, std::uint64_t size) {
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto first_text = text.substr(0, dash);
    const auto last_text = text.substr(dash + 1);
    if (first_text.empty()) {
        const auto suffix = digits(last_text);
        if (!suffix) return std::nullopt;
        const auto count = std::min(*suffix, size);
        return ByteRange{size - count, count};
    }
    const auto first = digits(first_text);
    if (!first) return std::nullopt;
    std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
    if (!last_text.empty()) {
        const auto given = digits(last_text);
        if (!given || *given < *first) return std::nullopt;
        last = *given;
    }
    if (*first >= size) return ByteRange{0, 0};
    return ByteRange{*first, std::min(last, size - 1) - *first + 1};
}

bool touch(const ByteRange& a, const ByteRange& b) {
    return a.first <= b.first + b.count && b.first <= a.first + a.count;
}

// Joins what overlaps or touches, until nothing does.
void join(std::vector<ByteRange>& ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        for (std::size_t j = i + 1; j < ranges.size();) {
            if (!touch(ranges[i], ranges[j])) {
                ++j;
                continue;
            }
            const auto first = std::min(ranges[i].first, ranges[j].first);
            const auto end = std::max(ranges[i].first + ranges[i].count, ranges[j].first + ranges[j].count);
            ranges[i] = {first, end - first};
            ranges.erase(ranges.begin() + static_cast<std::ptrdiff_t>(j));
            j = i + 1;  // it has grown
        }
    }
}

template <typename Same>
bool lists_etag(std::string_view field, Same same) {
    if (trim(field) == "*") return true;
    // Our tags are hex digits: a comma inside a foreign tag cannot make one of ours.
    const auto parts = split(field, ',');
    return std::any_of(parts.begin(), parts.end(), [&](auto part) { return same(trim(part)); });
}

std::string quoted_tag(std::string_view etag) {
    return fmt::format("\"{}\"", etag);
}

Response not_modified(Response response) {
    response.status = 304;
    response.body.clear();
    response.file = nullptr;
    response.content_type.clear();
    return response;
}

// The digest is the boundary: no file contains its own.
Response with_parts(Response response, const std::vector<ByteRange>& ranges) {
    const std::string& boundary = response.etag;
    for (const auto& range : ranges) {
        response.parts.push_back(
            {fmt::format("\r\n--{}\r\nContent-Type: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n", boundary,
                         response.content_type, range.first, range.first + range.count - 1, response.file_size),
             range});
    }
    response.end = fmt::format("\r\n--{}--\r\n", boundary);
    response.content_type = "multipart/byteranges; boundary=" + boundary;
    response.status = 206;
    return response;
}

// RFC 9110 section 13.1.5: only a strong match keeps the range.
Response ranged(Response response, const Request& request) {
    if (request.range.empty()) return response;
    if (!request.if_range.empty() && trim(request.if_range) != quoted_tag(response.etag)) return response;
    const auto wanted = parse_ranges(request.range, response.file_size);
    if (wanted.kind == RangeRequest::Kind::kWhole) return response;
    if (wanted.kind == RangeRequest::Kind::kUnsatisfiable) {
        auto answer = plain(416, Outcome::kBadRequest, "no byte of that range exists");
        answer.file_size = response.file_size;
        return answer;
    }
    if (wanted.ranges.size() > 1) return with_parts(std::move(response), wanted.ranges);
    response.status = 206;
    response.window = wanted.ranges.front();
    return response;
}

}  // namespace

RangeRequest parse_ranges(std::string_view field, std::uint64_t size) {
    constexpr std::string_view kUnit = "bytes=";
    field = trim(field);
    if (to_lower(field.substr(0, kUnit.size())) != kUnit) return {};
    RangeRequest request;
    bool any = false;
    std::size_t count = 0;
    for (const auto part : split(field.substr(kUnit.size()), ',')) {
        const auto text = trim(part);
        if (text.empty()) continue;  // RFC 9110 section 5.6.1: empty list elements are ignored
        if (++count > kMaxRanges) return {};
        const auto range = parse_one(text, size);
        if (!range) return {};
        any = true;
        if (range->count > 0) request.ranges.push_back(*range);
    }
    if (!any) return {};
    if (request.ranges.empty()) return {RangeRequest::Kind::kUnsatisfiable, {}};
    join(request.ranges);
    request.kind = RangeRequest::Kind::kParts;
    return request;
}

bool matches_etag(std::string_view field, std::string_view etag) {
    const auto tag = quoted_tag(etag);
    return lists_etag(field, [&](std::string_view part) {
        if (part.starts_with("W/")) part.remove_prefix(2);
        return part == tag;
    });
}

bool matches_etag_strongly(std::string_view field, std::string_view etag) {
    const auto tag = quoted_tag(etag);
    return lists_etag(field, [&](std::string_view part) { return part == tag; });
}

Response conditional(Response response, const Request& request) {
    if (response.status != 200 || response.etag.empty()) return response;
    if (!request.if_match.empty() && !matches_etag_strongly(request.if_match, response.etag)) {
        return plain(412, Outcome::kBadRequest, "it has another ETag");
    }
    if (!request.if_none_match.empty() && matches_etag(request.if_none_match, response.etag)) {
        return not_modified(std::move(response));
    }
    // Section 14.2: a Range means something with GET alone.
    if (request.method == Method::kGet && response.accept_ranges && response.file)
        return ranged(std::move(response), request);
    return response;
}

}  // namespace nett::metadata
