#include "plugins/metadata/tls.hpp"

#include <chrono>
#include <optional>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/self_identity.hpp"

namespace nett::metadata {

namespace {

// TLS 1.2: forward secrecy and AEAD, ECDSA first. TLS 1.3 keeps OpenSSL's three suites.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* kGroups = "P-256:X25519:P-384";
constexpr int kVerifyDepth = 4;
constexpr int kSecurityLevel = 2;  // 112 bits: RSA from 2048, no SHA-1
// A resumed session's certificate is looked at again, but its owner's key is not.
constexpr long kSessionSeconds = 300;
constexpr unsigned char kSessionIdContext[] = "nett-metadata";
constexpr unsigned char kHttp11[] = "\x08http/1.1";

using CtxPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;

Result<void> check_match(X509* leaf, EVP_PKEY* key, const std::string& key_path, const std::string& certificate_path) {
    if (X509_check_private_key(leaf, key) == 1) return {};
    ERR_clear_error();
    return fail(Code::kInvalidArgument, "{}: the private key does not belong to the first certificate of {}", key_path,
                certificate_path);
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                    void*) {
    unsigned char* chosen = nullptr;
    const auto status = SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11 - 1, in, in_size);
    *out = chosen;
    // RFC 7301 section 3.2: no common protocol is fatal. A client without ALPN does not come here.
    return status == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void set_profile(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_security_level(context, kSecurityLevel);
    SSL_CTX_set_cipher_list(context, kCiphers);
    SSL_CTX_set1_groups_list(context, kGroups);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    // What is sent is what the file says; OpenSSL must not complete it from the client CAs. No buffers while idle. A
    // blocked write is offered again from another address (tls_stream.hpp).
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // A request's record comes with one read, not with two for its header and its rest.
    SSL_CTX_set_read_ahead(context, 1);
    // Tickets only: no memory for a session on this side. One is enough for the next boot request of TLS 1.3.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_session_id_context(context, kSessionIdContext, sizeof kSessionIdContext - 1);
    SSL_CTX_set_timeout(context, kSessionSeconds);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_verify_depth(context, kVerifyDepth);
    // keyUsage and extendedKeyUsage, when present, must allow a TLS client.
    SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT);
}

Result<std::vector<CertificateInfo>> set_client_ca(SSL_CTX* context, const std::string& path) {
    if (path.empty()) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
        return std::vector<CertificateInfo>{};
    }
    auto authorities = read_certificates(path);
    if (!authorities) return fail(std::move(authorities.error()));
    auto* store = SSL_CTX_get_cert_store(context);
    std::vector<CertificateInfo> out;
    for (const auto& one : *authorities) {
        if (X509_check_ca(one.get()) == 0) {
            return fail(Code::kInvalidArgument, "{}: {} is not a CA certificate", path,
                        name_text(X509_get_subject_name(one.get())));
        }
        if (X509_STORE_add_cert(store, one.get()) != 1 || SSL_CTX_add_client_CA(context, one.get()) != 1) {
            return fail(Code::kInternal, "{}: {}", path, openssl_reason());
        }
        out.push_back(describe(one.get()));
    }
    return out;
}

Result<std::vector<RevocationListInfo>> set_client_crls(SSL_CTX* context, const std::vector<std::string>& paths) {
    std::vector<RevocationListInfo> out;
    auto* store = SSL_CTX_get_cert_store(context);
    for (const auto& path : paths) {
        auto lists = read_revocation_lists(path);
        if (!lists) return fail(std::move(lists.error()));
        for (const auto& one : *lists) {
            if (X509_STORE_add_crl(store, one.get()) != 1) {
                return fail(Code::kInternal, "{}: {}", path, openssl_reason());
            }
            out.push_back(describe(one.get(), path));
        }
    }
    if (!paths.empty()) X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return out;
}

Result<void> set_identity(SSL_CTX* context, const std::vector<X509Ptr>& chain, EVP_PKEY* key, const std::string& path) {
    if (SSL_CTX_use_certificate(context, chain.front().get()) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1) {
        return fail(Code::kInvalidArgument, "{}: {}", path, openssl_reason());
    }
    for (std::size_t i = 1; i < chain.size(); ++i) {
        if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
            return fail(Code::kInvalidArgument, "{}: certificate {}: {}", path, i + 1, openssl_reason());
        }
    }
    return {};
}

// As in a handshake, for a certificate that a session brought along.
bool verify_again(SSL_CTX* context, X509* leaf) {
    const StoreCtxPtr checking(X509_STORE_CTX_new());
    if (!checking || X509_STORE_CTX_init(checking.get(), SSL_CTX_get_cert_store(context), leaf, nullptr) != 1) {
        return false;
    }
    auto* parameters = X509_STORE_CTX_get0_param(checking.get());
    X509_VERIFY_PARAM_set1(parameters, SSL_CTX_get0_param(context));
    X509_STORE_CTX_set_default(checking.get(), "ssl_client");
    const bool good = X509_verify_cert(checking.get()) == 1;
    ERR_clear_error();
    return good;
}

}  // namespace

std::vector<std::string> TlsFiles::all() const {
    std::vector<std::string> out{certificate, private_key};
    if (!client_ca.empty()) out.push_back(client_ca);
    out.insert(out.end(), client_crls.begin(), client_crls.end());
    return out;
}

Result<CertificateInfo> read_certificate(const std::string& path) {
    auto chain = read_certificates(path);
    if (!chain) return fail(std::move(chain.error()));
    return describe(*chain);
}

Result<void> check_private_key(const std::string& key_path, const std::string& certificate_path) {
    auto key = read_private_key(key_path);
    if (!key) return fail(std::move(key.error()));
    auto chain = read_certificates(certificate_path);
    if (!chain) return {};  // that file's own check says it
    return check_match(chain->front().get(), key->get(), key_path, certificate_path);
}

Result<void> check_client_ca(const std::string& path) {
    const CtxPtr context(SSL_CTX_new(TLS_server_method()));
    if (!context) return fail(Code::kInternal, "OpenSSL: {}", openssl_reason());
    auto set = set_client_ca(context.get(), path);
    if (!set) return fail(std::move(set.error()));
    return {};
}

Result<void> check_client_crl(const std::string& path) {
    auto lists = read_revocation_lists(path);
    if (!lists) return fail(std::move(lists.error()));
    return {};
}

Result<std::shared_ptr<const TlsContext>> load_tls(const TlsFiles& files) {
    auto chain = read_certificates(files.certificate);
    if (!chain) return fail(std::move(chain.error()));
    auto key = read_private_key(files.private_key);
    if (!key) return fail(std::move(key.error()));
    NETT_TRY(check_match(chain->front().get(), key->get(), files.private_key, files.certificate));

    CtxPtr context(SSL_CTX_new(TLS_server_method()));
    if (!context) return fail(Code::kInternal, "OpenSSL: {}", openssl_reason());
    set_profile(context.get());
    auto authorities = set_client_ca(context.get(), files.client_ca);
    if (!authorities) return fail(std::move(authorities.error()));
    auto revocations = set_client_crls(context.get(), files.client_crls);
    if (!revocations) return fail(std::move(revocations.error()));
    NETT_TRY(set_identity(context.get(), *chain, key->get(), files.certificate));
    auto out = std::make_shared<TlsContext>();
    out->files = files;
    out->certificate = describe(*chain);
    out->authorities = std::move(*authorities);
    out->revocations = std::move(*revocations);
    out->mutual = !files.client_ca.empty();
    out->verifier = std::make_unique<ClientVerifier>();
    if (self_identity().certificate) out->verifier->trust(self_identity().certificate.get());
    SSL_CTX_set_cert_verify_callback(context.get(), ClientVerifier::verify_callback, out->verifier.get());
    out->context = std::shared_ptr<SSL_CTX>(context.release(), SSL_CTX_free);
    return std::shared_ptr<const TlsContext>(std::move(out));
}

Result<CertificateSubject> TlsContext::verified_peer(const SSL* ssl, SystemTime now) const {
    if (!mutual) return CertificateSubject{};
    X509* leaf = SSL_get0_peer_certificate(ssl);
    if (leaf == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) {
        return fail(Code::kUnauthenticated, "no verified client certificate");
    }
    auto known = verifier->recall(leaf, now);
    if (known) return known;
    if (SSL_session_reused(ssl) == 1 && !verify_again(context.get(), leaf)) return known;
    return subject_of(leaf);
}

bool is_resumed(const SSL* ssl) {
    return SSL_session_reused(ssl) == 1;
}

std::string handshake_failure(const SSL* ssl, const boost::system::error_code& error) {
    const long verdict = SSL_get_verify_result(ssl);
    if (verdict != X509_V_OK) return X509_verify_cert_error_string(verdict);
    if (error == boost::asio::error::eof || error == boost::asio::error::connection_reset) return "connection ended";
    // Without the library's name, which Asio's message has too.
    if (error.category() == boost::asio::error::get_ssl_category()) {
        const char* reason = ERR_reason_error_string(static_cast<unsigned long>(error.value()));
        if (reason != nullptr) return reason;
    }
    return error.message();
}

}  // namespace nett::metadata
