#include "plugins/metadata/talos_early.hpp"

#include <zstd.h>

#include <openssl/evp.h>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
constexpr int kLevel = 19;  // every character counts on a kernel command line, and this is done once

std::string base64(std::string_view bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    const int length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), data, static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(length));
    return out;
}

}  // namespace

Result<std::string> last_certificate(std::string_view pem) {
    const auto begin = pem.rfind(kBegin);
    const auto end = begin == std::string_view::npos ? begin : pem.find(kEnd, begin);
    if (end == std::string_view::npos) return fail(Code::kInvalidArgument, "no PEM certificate");
    return std::string(pem.substr(begin, end + kEnd.size() - begin));
}

Result<std::string> trusted_root_argument(std::string_view root_pem) {
    // Talos: pkg/machinery/config/types/security, TrustedRootsConfig.
    std::string yaml = "apiVersion: v1alpha1\nkind: TrustedRootsConfig\nname: nett\ncertificates: |\n";
    for (const auto line : split(root_pem, '\n')) {
        const auto text = trim(line);
        if (!text.empty()) yaml += fmt::format("  {}\n", text);
    }
    std::string packed(ZSTD_compressBound(yaml.size()), '\0');
    const auto size = ZSTD_compress(packed.data(), packed.size(), yaml.data(), yaml.size(), kLevel);
    if (ZSTD_isError(size) != 0) return fail(Code::kInternal, "zstd: {}", ZSTD_getErrorName(size));
    packed.resize(size);
    return base64(packed);
}

Result<std::string> trusted_root_of(const std::string& certificate_file) {
    auto text = read_file(certificate_file, kMaxPemBytes);
    if (!text) return fail(std::move(text.error()));
    auto root = last_certificate(*text);
    if (!root) return fail(std::move(root.error()).in(certificate_file));
    return trusted_root_argument(*root);
}

}  // namespace nett::metadata
