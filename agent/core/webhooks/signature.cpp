#include "agent/core/webhooks/signature.hpp"

#include <array>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::string_view kPrefix = "whsec_";

std::string to_base64(const unsigned char* bytes, std::size_t size) {
    std::string out(4 * ((size + 2) / 3) + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(size));
    out.resize(static_cast<std::size_t>(length));
    return out;
}

Result<std::string> from_base64(std::string_view text) {
    std::string out(3 * (text.size() / 4) + 3, '\0');
    const int length = text.size() % 4 != 0 ? -1
                                            : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                              reinterpret_cast<const unsigned char*>(text.data()),
                                                              static_cast<int>(text.size()));
    if (length < 0) return fail(Code::kInvalidArgument, "what follows whsec_ is not base64");
    // EVP_DecodeBlock counts the padding as bytes.
    const auto padding = static_cast<std::size_t>(text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0);
    out.resize(static_cast<std::size_t>(length) - padding);
    return out;
}

}  // namespace

Result<std::string> read_webhook_secret(const std::string& path) {
    auto text = read_file(path, kMaxWebhookSecretFile);
    if (!text) return fail(std::move(text.error()));
    const auto line = trim(*text);
    auto secret = line.starts_with(kPrefix) ? from_base64(line.substr(kPrefix.size())) : Result<std::string>(line);
    if (!secret) return fail(std::move(secret.error()).in(path));
    if (secret->size() < kMinWebhookSecret) {
        return fail(Error{
            Code::kInvalidArgument,
            fmt::format("the key has less than {} bytes; make one with \"openssl rand -base64 32\"", kMinWebhookSecret),
            path});
    }
    return secret;
}

std::string sign_webhook(std::string_view secret, std::string_view id, std::int64_t timestamp, std::string_view body) {
    const auto signed_text = fmt::format("{}.{}.{}", id, timestamp, body);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(), digest.data(), &size);
    return "v1," + to_base64(digest.data(), size);
}

}  // namespace nett
