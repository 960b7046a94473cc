#include "plugins/metadata/tls.hpp"

#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "plugins/metadata/health_checks.hpp"
#include "tests/unit/metadata/test_pki.hpp"

namespace nett::metadata::test {
namespace {

using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;
using Ctx = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

// What came of a handshake in memory.
struct Outcome {
    bool finished = false;
    std::string server_error;
    std::string client_error;
    std::string version;
    std::string cipher;
    std::string protocol;  // ALPN
    std::vector<std::string> common_names;
    std::vector<std::string> units;
    int certificates = 0;  // that the server sent
};

struct ClientOptions {
    const Identity* identity = nullptr;
    int version = 0;
    const char* ciphers = nullptr;
    std::string alpn = {};
};

std::string reason() {
    const auto code = ERR_peek_last_error();
    ERR_clear_error();
    return code == 0 ? "" : ERR_reason_error_string(code);
}

class TlsTest : public testing::Test {
protected:
    TlsTest() {
        files_ = {pem.write("server.pem", server.certificate_pem() + ca.certificate_pem()),
                  pem.write("server.key", server.key_pem()), pem.write("ca.pem", ca.certificate_pem())};
    }

    Outcome handshake(ClientOptions options) {
        auto tls = load_tls(files_);
        EXPECT_TRUE(tls) << tls.error().to_string();
        const Ctx client_context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(client_context.get()), ca.certificate());
        if (options.version != 0) {
            SSL_CTX_set_min_proto_version(client_context.get(), options.version);
            SSL_CTX_set_max_proto_version(client_context.get(), options.version);
        }
        // Security level 0: what the server refuses must be the server's doing.
        SSL_CTX_set_cipher_list(client_context.get(), options.ciphers != nullptr ? options.ciphers : "ALL:@SECLEVEL=0");
        if (options.identity != nullptr) {
            SSL_CTX_use_certificate(client_context.get(), options.identity->certificate());
            SSL_CTX_use_PrivateKey(client_context.get(), options.identity->key());
        }
        if (!options.alpn.empty()) {
            SSL_CTX_set_alpn_protos(client_context.get(), reinterpret_cast<const unsigned char*>(options.alpn.data()),
                                    static_cast<unsigned>(options.alpn.size()));
        }
        SSL_CTX_set_verify(client_context.get(), SSL_VERIFY_PEER, nullptr);
        const Ssl client(SSL_new(client_context.get()), SSL_free);
        const Ssl peer(SSL_new((*tls)->context.get()), SSL_free);
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client.get()), "2001:db8:ffff::1");
        return exchange(client.get(), peer.get());
    }

    static Outcome exchange(SSL* client, SSL* peer) {
        BIO* a = nullptr;
        BIO* b = nullptr;
        BIO_new_bio_pair(&a, 0, &b, 0);
        SSL_set_bio(client, a, a);
        SSL_set_bio(peer, b, b);
        SSL_set_connect_state(client);
        SSL_set_accept_state(peer);
        Outcome outcome;
        bool client_done = false;
        bool peer_done = false;
        for (int i = 0; i < 20 && !(client_done && peer_done); ++i) {
            client_done = step(client, outcome.client_error);
            peer_done = step(peer, outcome.server_error);
        }
        outcome.finished = client_done && peer_done && outcome.server_error.empty();
        if (!outcome.finished) return outcome;
        outcome.version = SSL_get_version(peer);
        outcome.cipher = SSL_get_cipher(peer);
        const unsigned char* name = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(peer, &name, &size);
        outcome.protocol.assign(reinterpret_cast<const char*>(name), size);
        const auto subject = peer_subject(peer);
        EXPECT_EQ(subject.has_value(), SSL_get_verify_mode(peer) != SSL_VERIFY_NONE);
        if (subject) {
            outcome.common_names = subject->common_names;
            outcome.units = subject->organizational_units;
        }
        outcome.certificates = sk_X509_num(SSL_get_peer_cert_chain(client));
        return outcome;
    }

    static bool step(SSL* ssl, std::string& error) {
        if (!error.empty()) return false;
        ERR_clear_error();
        const int status = SSL_do_handshake(ssl);
        if (status == 1) return true;
        if (SSL_get_error(ssl, status) == SSL_ERROR_SSL) error = reason();
        return false;
    }

    PemFiles pem;
    Identity ca = make_ca("Platform Root");
    Identity server = make_server(ca);
    Identity client = make_client(ca, "a.boot.example");
    TlsFiles files_;
};

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
