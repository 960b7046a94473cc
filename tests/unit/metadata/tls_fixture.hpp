// TLS handshakes in memory, between the real context and a client that may do wrong.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "plugins/metadata/tls.hpp"
#include "tests/unit/metadata/test_pki.hpp"

namespace nett::metadata::test {

using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;
using Ctx = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

using Session = std::shared_ptr<SSL_SESSION>;

// What came of a handshake in memory.
struct HandshakeOutcome {
    bool finished = false;
    std::string server_error;
    std::string client_error;
    std::string refusal;  // as `show tls` counts it
    std::string version;
    std::string cipher;
    std::string protocol;  // ALPN
    std::vector<std::string> common_names;
    std::vector<std::string> units;
    int certificates = 0;  // that the server sent
    bool resumed = false;
    Session session;  // for the next
};

struct ClientOptions {
    const Identity* identity = nullptr;
    int version = 0;
    const char* ciphers = nullptr;
    std::string alpn = {};
    Session session = nullptr;
};

inline std::string last_reason() {
    const auto code = ERR_peek_last_error();
    ERR_clear_error();
    return code == 0 ? "" : ERR_reason_error_string(code);
}

class TlsFixture : public testing::Test {
protected:
    TlsFixture() {
        files_ = {pem.write("server.pem", server.certificate_pem() + ca.certificate_pem()),
                  pem.write("server.key", server.key_pem()), pem.write("ca.pem", ca.certificate_pem())};
    }

    // With a context of the files as they are now.
    HandshakeOutcome handshake(const ClientOptions& options) { return handshake(options, *loaded()); }
    std::shared_ptr<const TlsContext> loaded() {
        auto tls = load_tls(files_);
        EXPECT_TRUE(tls) << (tls ? "" : tls.error().to_string());
        return tls ? *tls : nullptr;
    }
    HandshakeOutcome handshake(const ClientOptions& options, const TlsContext& tls,
                               SystemTime now = std::chrono::system_clock::now()) {
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
        const Ssl peer(SSL_new(tls.context.get()), SSL_free);
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client.get()), "2001:db8:ffff::1");
        if (options.session) SSL_set_session(client.get(), options.session.get());
        return exchange(client.get(), peer.get(), tls, now);
    }

    static HandshakeOutcome exchange(SSL* client, SSL* peer, const TlsContext& tls, SystemTime now) {
        BIO* a = nullptr;
        BIO* b = nullptr;
        BIO_new_bio_pair(&a, 0, &b, 0);
        SSL_set_bio(client, a, a);
        SSL_set_bio(peer, b, b);
        SSL_set_connect_state(client);
        SSL_set_accept_state(peer);
        HandshakeOutcome outcome;
        bool client_done = false;
        bool peer_done = false;
        for (int i = 0; i < 20 && !(client_done && peer_done); ++i) {
            client_done = step(client, outcome.client_error);
            peer_done = step(peer, outcome.server_error);
        }
        outcome.finished = client_done && peer_done && outcome.server_error.empty();
        if (!outcome.finished) {
            outcome.refusal = handshake_failure(peer, {});
            return outcome;
        }
        outcome.version = SSL_get_version(peer);
        outcome.cipher = SSL_get_cipher(peer);
        const unsigned char* name = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(peer, &name, &size);
        outcome.protocol.assign(reinterpret_cast<const char*>(name), size);
        outcome.resumed = is_resumed(peer);
        const auto subject = tls.verified_peer(peer, now);
        if (subject) {
            outcome.common_names = subject->common_names;
            outcome.units = subject->organizational_units;
        }
        outcome.certificates = sk_X509_num(SSL_get_peer_cert_chain(client));
        char nothing = 0;
        SSL_read(client, &nothing, 1);  // the tickets of TLS 1.3 come after the handshake
        // OpenSSL does not resume what was cut off.
        SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        outcome.session = Session(SSL_get1_session(client), SSL_SESSION_free);
        return outcome;
    }

    static bool step(SSL* ssl, std::string& error) {
        if (!error.empty()) return false;
        ERR_clear_error();
        const int status = SSL_do_handshake(ssl);
        if (status == 1) return true;
        if (SSL_get_error(ssl, status) == SSL_ERROR_SSL) error = last_reason();
        return false;
    }

    PemFiles pem;
    Identity ca = make_ca("Platform Root");
    Identity server = make_server(ca);
    Identity client = make_client(ca, "a.boot.example");
    TlsFiles files_;
};

}  // namespace nett::metadata::test
