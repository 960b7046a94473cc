#include "agent/sdk/media.hpp"

#include <algorithm>
#include <array>

#include <openssl/rand.h>

#include "agent/sdk/model_codec.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

using namespace codec;

namespace {

constexpr std::size_t kTokenBytes = 16;         // 128 bits cannot be guessed over a network
constexpr std::size_t kMaxMediaName = 64;       // BMCs keep URLs in small buffers
constexpr std::string_view kMediaPath = "/m/";  // short for the same reason
constexpr std::string_view kSuffix = ".iso";
constexpr std::size_t kMaxDigestFile = 512;  // one line: digest, two spaces, a file's name
constexpr std::size_t kDigestSize = 64;

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string_view base_name(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// "https://[2001:db8::1]:8443": scheme and authority in brackets, nothing behind.
Result<void> check_origin(std::string_view origin) {
    std::string_view rest = origin;
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!rest.starts_with(scheme)) continue;
        rest.remove_prefix(scheme.size());
        break;
    }
    const auto port = rest.find("]:");
    const bool bare = port == std::string_view::npos && rest.starts_with('[') && rest.ends_with(']') &&
                      parse_address6(rest.substr(1, rest.size() - 2));
    if (rest.size() != origin.size() && (bare || parse_endpoint6(rest))) return {};
    return fail(Code::kInvalidArgument,
                "\"{}\" is no origin of a media listener; write e.g. https://[2001:db8::1]:8443", origin);
}

// What sha256sum wrote beside the image; empty: nothing.
Result<std::string> recorded_digest(const std::string& image) {
    const auto path = image + std::string(kMediaDigestSuffix);
    auto text = read_file(path, kMaxDigestFile);
    if (!text && text.error().code == Code::kNotFound) return std::string();
    if (!text) return fail(std::move(text.error()));
    auto digest = to_lower(text->substr(0, kDigestSize));
    const bool ends = text->size() == kDigestSize || text->find_first_of(" \n", kDigestSize) == kDigestSize;
    if (digest.size() == kDigestSize && is_hex(digest) && ends) return digest;
    return fail(Code::kInvalidArgument, "{} is no line of sha256sum; write it again, or remove it", path);
}

}  // namespace

bool is_media_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
               c == '-';
    };
    return name.size() > kSuffix.size() && name.size() <= kMaxMediaName && name.ends_with(kSuffix) &&
           name.front() != '.' && name.front() != '-' && std::all_of(name.begin(), name.end(), plain);
}

Result<std::string> media_key(std::string_view token) {
    if (token.size() != 2 * kTokenBytes || !is_hex(token)) return fail(Code::kInvalidArgument, "not a media token");
    return sha256_hex(token);
}

Result<MediaIssue> issue_media(std::string_view origin, MediaGrant grant) {
    NETT_TRY(check_origin(origin));
    const auto name = base_name(grant.file);
    if (!grant.file.starts_with('/') || !is_media_name(name)) {
        return fail(Code::kInvalidArgument,
                    "\"{}\" cannot be served to a BMC: give an absolute path whose last part has letters, digits and "
                    "._- only, at most {} of them, and ends in .iso",
                    grant.file, kMaxMediaName);
    }
    if (grant.sha256.empty()) {
        auto recorded = recorded_digest(grant.file);
        if (!recorded) return fail(std::move(recorded.error()));
        grant.sha256 = std::move(*recorded);
    }
    std::array<unsigned char, kTokenBytes> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
        return fail(Code::kInternal, "OpenSSL has no random bytes for a media token");
    }
    const auto token = to_hex({reinterpret_cast<const char*>(random.data()), random.size()});
    std::string url = fmt::format("{}{}{}/{}", origin, kMediaPath, token, name);
    grant.token_sha256 = sha256_hex(token);
    return MediaIssue{std::move(grant), std::move(url)};
}

json::value to_json(const MediaUse& value) {
    auto out = start();
    out["token_sha256"] = value.token_sha256;
    out["job"] = value.job;
    out["machine"] = value.machine;
    out["source"] = value.source;
    out["first"] = to_rfc3339(value.first);
    out["last"] = to_rfc3339(value.last);
    out["requests"] = value.requests;
    out["bytes"] = value.bytes;
    out["size"] = value.size;
    out["complete"] = value.complete;
    return out;
}

template <>
Result<MediaUse> decode<MediaUse>(std::string_view json_text) {
    return decode_with<MediaUse>(json_text, "media use", [](Reader& in, MediaUse& out) {
        in.text("token_sha256", out.token_sha256);
        in.text("job", out.job);
        in.text("machine", out.machine);
        in.text("source", out.source);
        in.time("first", out.first);
        in.time("last", out.last);
        in.number("requests", out.requests);
        in.number("bytes", out.bytes);
        in.number("size", out.size);
        in.flag("complete", out.complete);
    });
}

Transaction::Put put_of(const MediaUse& value) {
    return plain_put(kMediaUseKind, value.token_sha256, value);
}

}  // namespace nett
