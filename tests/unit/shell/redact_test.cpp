#include <gtest/gtest.h>

#include "agent/core/shell/redact.hpp"

namespace nett::test {
namespace {

TEST(Redact, ValuesOfSecretNames) {
    EXPECT_EQ(redact_secrets("console=ttyS0 join-token=abc123 x=1"), "console=ttyS0 join-token=[redacted] x=1");
    EXPECT_EQ(redact_secrets(R"({"password": "hunter2", "n": 1})"), R"({"password": "[redacted]", "n": 1})");
    EXPECT_EQ(redact_secrets("Authorization: Bearer abcdefgh12345"), "Authorization: [redacted] [redacted]");
    EXPECT_EQ(redact_secrets("bmc_passwd: x y\n"), "bmc_passwd: [redacted] y\n");
    EXPECT_EQ(redact_secrets(" webhook https://h secret s3cr3t\n"), " webhook https://h secret [redacted]\n");
}

TEST(Redact, WhatOnlyNamesOrCountsASecretStays) {
    for (const auto* text : {"secret-key file /var/lib/nett/secret.key\n", " netbox token-file /etc/nett/token\n",
                             "tokens: 12\n", R"({"token": null, "password": true})", "token_sha256: 0f0f0f",
                             "sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"}) {
        EXPECT_EQ(redact_secrets(text), text);
    }
}

TEST(Redact, PrivateKeys) {
    EXPECT_EQ(redact_secrets("a\n-----BEGIN EC PRIVATE KEY-----\nMHc\nx==\n-----END EC PRIVATE KEY-----\nb"),
              "a\n[redacted]\nb");
    const auto* certificate = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";
    EXPECT_EQ(redact_secrets(certificate), certificate);
}

TEST(Redact, UsersAndTokensInUrls) {
    EXPECT_EQ(redact_secrets("at https://bob:pw@[2001:db8::1]/x"), "at https://[redacted]@[2001:db8::1]/x");
    EXPECT_EQ(redact_secrets("https://h/m/Zm9vYmFyYmF6MDEyMzQ1Njc4OWFiY2RlZkdISUpLTE1O/boot.iso"),
              "https://h/m/[redacted]/boot.iso");
    EXPECT_EQ(redact_secrets("https://h/x?token=abc&y=1"), "https://h/x?token=[redacted]&y=1");
}

}  // namespace
}  // namespace nett::test
