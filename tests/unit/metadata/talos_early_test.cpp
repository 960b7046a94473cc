#include "plugins/metadata/talos_early.hpp"

#include <zstd.h>

#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace nett::metadata {
namespace {

constexpr const char* kChain =
    "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n"
    "-----BEGIN CERTIFICATE-----\r\ncm9vdA==\r\n-----END CERTIFICATE-----\nbehind\n";

std::string unpacked(const std::string& argument) {
    std::string bytes(argument.size(), '\0');
    const auto length =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                        reinterpret_cast<const unsigned char*>(argument.data()), static_cast<int>(argument.size()));
    bytes.resize(static_cast<std::size_t>(length) - (argument.ends_with("==") ? 2 : argument.ends_with("=") ? 1 : 0));
    std::string text(4096, '\0');
    text.resize(ZSTD_decompress(text.data(), text.size(), bytes.data(), bytes.size()));
    return text;
}

TEST(TalosEarly, TrustsTheRootThatEndsTheChain) {
    const auto root = last_certificate(kChain).value();
    EXPECT_EQ(unpacked(trusted_root_argument(root).value()),
              "apiVersion: v1alpha1\n"
              "kind: TrustedRootsConfig\n"
              "name: nett\n"
              "certificates: |\n"
              "  -----BEGIN CERTIFICATE-----\n"
              "  cm9vdA==\n"
              "  -----END CERTIFICATE-----\n");
    EXPECT_EQ(trusted_root_argument(root).value(), trusted_root_argument(root).value());
}

TEST(TalosEarly, NeedsACertificate) {
    EXPECT_EQ(last_certificate("").error().code, Code::kInvalidArgument);
    EXPECT_EQ(last_certificate("-----BEGIN CERTIFICATE-----\nx\n").error().code, Code::kInvalidArgument);
    EXPECT_FALSE(trusted_root_of("/nonexistent.pem"));
}

}  // namespace
}  // namespace nett::metadata
