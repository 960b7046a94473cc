#include "tests/unit/metadata/tls_fixture.hpp"

#include "plugins/metadata/health_checks.hpp"

namespace nett::metadata::test {
namespace {

class TlsTest : public TlsFixture {};

TEST_F(TlsTest, TheRightCertificateNamesItsSubjectInTls12And13) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto outcome = handshake({&client, version});
        EXPECT_TRUE(outcome.finished) << outcome.server_error << outcome.client_error;
        EXPECT_EQ(outcome.common_names, std::vector<std::string>{"a.boot.example"});
        EXPECT_EQ(outcome.units, std::vector<std::string>{"boot"});
        EXPECT_EQ(outcome.certificates, 2);  // the leaf and the root, as iPXE needs
    }
}

TEST_F(TlsTest, AMissingCertificateFailsTheHandshake) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto outcome = handshake({nullptr, version});
        EXPECT_FALSE(outcome.finished);
        EXPECT_EQ(outcome.server_error, "peer did not return a certificate");
    }
}

TEST_F(TlsTest, WithoutAClientCaNobodyIsAskedForACertificate) {
    EXPECT_TRUE(load_tls(files_).value()->mutual);
    files_.client_ca.clear();
    EXPECT_FALSE(load_tls(files_).value()->mutual);
    const auto outcome = handshake({nullptr, TLS1_2_VERSION});
    EXPECT_TRUE(outcome.finished) << outcome.server_error << outcome.client_error;
    EXPECT_TRUE(outcome.common_names.empty());
}

TEST_F(TlsTest, ACertificateOfAnotherCaFailsTheHandshake) {
    const auto other = make_ca("Platform Root");  // the same name, another key
    const auto stranger = make_client(other, "a.boot.example");
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto outcome = handshake({&stranger, version});
        EXPECT_FALSE(outcome.finished);
        EXPECT_EQ(outcome.server_error, "certificate verify failed");
    }
}

TEST_F(TlsTest, AServersCertificateIsNoClients) {
    const auto wrong = make_client(ca, "a.boot.example", "serverAuth");
    EXPECT_EQ(handshake({&wrong}).server_error, "certificate verify failed");
}

TEST_F(TlsTest, AnExpiredClientCertificateFailsTheHandshake) {
    const Identity expired({{{"CN", "a.boot.example"}}, {}, -7200, 3600}, &ca);
    EXPECT_EQ(handshake({&expired}).server_error, "certificate verify failed");
}

TEST_F(TlsTest, OldProtocolsAndWeakSuitesAreRefused) {
    EXPECT_FALSE(handshake({&client, TLS1_1_VERSION}).finished);
    EXPECT_FALSE(handshake({&client, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"}).finished);
    const auto outcome = handshake({&client, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"});
    EXPECT_EQ(outcome.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
}

TEST_F(TlsTest, SpeaksHttp11ToThoseWhoAsk) {
    EXPECT_EQ(handshake({&client, 0, nullptr, std::string("\x02h2\x08http/1.1", 12)}).protocol, "http/1.1");
    EXPECT_FALSE(handshake({&client, 0, nullptr, std::string("\x02h2", 3)}).finished);
    EXPECT_EQ(handshake({&client}).protocol, "");
}

TEST_F(TlsTest, DescribesTheCertificate) {
    const auto info = read_certificate(files_.certificate).value();
    EXPECT_EQ(info.subject, "CN=metadata");
    EXPECT_EQ(info.issuer, "CN=Platform Root");
    EXPECT_EQ(info.sha256.size(), 64U);
    EXPECT_TRUE(info.sends_root);
    EXPECT_TRUE(info.ipxe_key);
    ASSERT_EQ(info.addresses.size(), 1U);
    EXPECT_EQ(info.addresses[0].to_string(), "2001:db8:ffff::1");
    EXPECT_FALSE(read_certificate(pem.write("leaf.pem", server.certificate_pem()))->sends_root);
}

TEST_F(TlsTest, SaysWhatIsWrongWithAFile) {
    const auto message = [](const auto& result) { return result ? "" : result.error().to_string(); };
    const auto broken = pem.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const auto empty = pem.write("empty.pem", "");
    const auto locked = pem.write("locked.key", client.key_pem("secret"));
    const auto other = pem.write("other.key", client.key_pem());
    EXPECT_EQ(read_certificate(pem.path("absent")).error().code, Code::kNotFound);
    EXPECT_NE(message(read_certificate(empty)).find("no PEM certificate"), std::string::npos);
    EXPECT_FALSE(read_certificate(broken));
    EXPECT_FALSE(
        read_certificate(pem.write("half.pem", server.certificate_pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n")));
    EXPECT_NE(message(check_private_key(locked, files_.certificate)).find("no unencrypted PEM private key"),
              std::string::npos);
    EXPECT_NE(message(check_private_key(other, files_.certificate)).find("does not belong"), std::string::npos);
    EXPECT_TRUE(check_private_key(files_.private_key, files_.certificate));
    EXPECT_NE(message(check_client_ca(files_.certificate)).find("not a CA certificate"), std::string::npos);
    EXPECT_TRUE(check_client_ca(files_.client_ca));
    for (auto wrong :
         {TlsFiles{broken, files_.private_key, files_.client_ca}, TlsFiles{files_.certificate, other, files_.client_ca},
          TlsFiles{files_.certificate, files_.private_key, empty}}) {
        EXPECT_FALSE(load_tls(wrong));
    }
}

TEST(CertificateHealth, WarnsAWeekAheadAndFailsAtTheEnd) {
    const SystemTime now = ManualClock().system_now();
    CertificateInfo info;
    info.not_before = now - std::chrono::hours(1);
    const auto state = [&](SystemTime not_after) {
        info.not_after = not_after;
        return certificate_condition(info, now).state;
    };
    EXPECT_EQ(state(now + std::chrono::hours(8 * 24)), HealthState::kOk);
    EXPECT_EQ(state(now + std::chrono::hours(6 * 24)), HealthState::kDegraded);
    EXPECT_EQ(state(now - std::chrono::seconds(1)), HealthState::kFailed);
    info.not_before = now + std::chrono::seconds(1);
    EXPECT_EQ(state(now + std::chrono::hours(8 * 24)), HealthState::kFailed);
    EXPECT_EQ(listener_condition("", false).state, HealthState::kOk);
    EXPECT_EQ(listener_condition("", true).state, HealthState::kFailed);
    EXPECT_EQ(listener_condition("cannot accept", false).state, HealthState::kFailed);
    EXPECT_EQ(listener_condition("", false).scope, HealthScope::kLocal);
}

}  // namespace
}  // namespace nett::metadata::test
