#include "plugins/metadata/tls.hpp"

#include <array>
#include <ctime>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

// TLS 1.2: forward secrecy and AEAD, ECDSA first. TLS 1.3 keeps OpenSSL's three suites.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* kGroups = "P-256:X25519:P-384";
constexpr int kVerifyDepth = 4;
constexpr int kSecurityLevel = 2;  // 112 bits: RSA from 2048, no SHA-1
// A resumed session is not verified again: its certificate may be that much staler.
constexpr long kSessionSeconds = 300;
constexpr unsigned char kSessionIdContext[] = "nett-metadata";
constexpr unsigned char kHttp11[] = "\x08http/1.1";

template <auto Function>
struct Deleter {
    template <typename T>
    void operator()(T* pointer) const {
        Function(pointer);
    }
};
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using CtxPtr = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

// The reason of OpenSSL's last error; empties its queue.
std::string openssl_reason() {
    const auto code = ERR_peek_last_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    std::string text = reason == nullptr ? "unknown reason" : reason;
    ERR_clear_error();
    return text;
}

BioPtr memory_bio(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// A key with a passphrase is refused instead of asking the terminal.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

Result<std::vector<X509Ptr>> certificates_of(const std::string& path) {
    auto text = read_file(path, kMaxPemBytes);
    if (!text) return fail(std::move(text.error()));
    ERR_clear_error();
    const auto bio = memory_bio(*text);
    std::vector<X509Ptr> out;
    while (X509Ptr one{PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr)})
        out.push_back(std::move(one));
    const auto last = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    const auto reason = openssl_reason();
    if (out.empty()) return fail(Code::kInvalidArgument, "{}: no PEM certificate in it ({})", path, reason);
    if (!at_end) return fail(Code::kInvalidArgument, "{}: certificate {} is broken: {}", path, out.size() + 1, reason);
    return out;
}

Result<KeyPtr> key_of(const std::string& path) {
    auto text = read_file(path, kMaxPemBytes);
    if (!text) return fail(std::move(text.error()));
    ERR_clear_error();
    const auto bio = memory_bio(*text);
    KeyPtr key{PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)};
    OPENSSL_cleanse(text->data(), text->size());
    if (!key) {
        return fail(Code::kInvalidArgument, "{}: no unencrypted PEM private key in it ({})", path, openssl_reason());
    }
    return key;
}

Result<void> check_match(X509* leaf, EVP_PKEY* key, const std::string& key_path, const std::string& certificate_path) {
    if (X509_check_private_key(leaf, key) == 1) return {};
    ERR_clear_error();
    return fail(Code::kInvalidArgument, "{}: the private key does not belong to the first certificate of {}", key_path,
                certificate_path);
}

std::string name_text(const X509_NAME* name) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

SystemTime time_of(const ASN1_TIME* time) {
    std::tm utc{};
    if (ASN1_TIME_to_tm(time, &utc) != 1) return {};
    return std::chrono::system_clock::from_time_t(timegm(&utc));
}

std::vector<Address6> addresses_of(const X509* certificate) {
    std::vector<Address6> out;
    const NamesPtr names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const auto* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_IPADD) continue;
        Address6::bytes_type bytes{};
        if (static_cast<std::size_t>(ASN1_STRING_length(name->d.iPAddress)) != bytes.size()) continue;
        const auto* data = ASN1_STRING_get0_data(name->d.iPAddress);
        std::copy(data, data + bytes.size(), bytes.begin());
        out.emplace_back(bytes);
    }
    return out;
}

bool is_ipxe_key(const X509* certificate) {
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    if (key == nullptr) return false;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) return true;
    std::array<char, 32> group{};
    if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1) return false;
    const std::string_view name(group.data());
    return name == "prime256v1" || name == "secp384r1";
}

CertificateInfo describe(const std::vector<X509Ptr>& chain) {
    X509* leaf = chain.front().get();
    CertificateInfo info;
    info.subject = name_text(X509_get_subject_name(leaf));
    info.issuer = name_text(X509_get_issuer_name(leaf));
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(leaf, EVP_sha256(), digest.data(), &size);
    info.sha256 = to_hex({reinterpret_cast<const char*>(digest.data()), size});
    info.not_before = time_of(X509_get0_notBefore(leaf));
    info.not_after = time_of(X509_get0_notAfter(leaf));
    info.addresses = addresses_of(leaf);
    info.sends_root = X509_self_signed(chain.back().get(), 0) == 1;
    info.ipxe_key = is_ipxe_key(leaf);
    ERR_clear_error();
    return info;
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
    // What is sent is what the file says; OpenSSL must not complete it from the client CAs.
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
    // Tickets only: no memory for a session on this side.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, kSessionIdContext, sizeof kSessionIdContext - 1);
    SSL_CTX_set_timeout(context, kSessionSeconds);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_verify_depth(context, kVerifyDepth);
    // keyUsage and extendedKeyUsage, when present, must allow a TLS client.
    SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT);
}

Result<void> set_client_ca(SSL_CTX* context, const std::string& path) {
    auto authorities = certificates_of(path);
    if (!authorities) return fail(std::move(authorities.error()));
    auto* store = SSL_CTX_get_cert_store(context);
    for (const auto& one : *authorities) {
        if (X509_check_ca(one.get()) == 0) {
            return fail(Code::kInvalidArgument, "{}: {} is not a CA certificate", path,
                        name_text(X509_get_subject_name(one.get())));
        }
        if (X509_STORE_add_cert(store, one.get()) != 1 || SSL_CTX_add_client_CA(context, one.get()) != 1) {
            return fail(Code::kInternal, "{}: {}", path, openssl_reason());
        }
    }
    return {};
}

std::vector<std::string> entries_of(const X509_NAME* name, int nid) {
    std::vector<std::string> out;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
        unsigned char* text = nullptr;
        const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        // What cannot be read as text must not count as absent: an empty one matches nothing and spoils the match.
        out.emplace_back(size < 0 ? "" : std::string(reinterpret_cast<char*>(text), static_cast<std::size_t>(size)));
        OPENSSL_free(text);
    }
    return out;
}

}  // namespace

Result<CertificateInfo> read_certificate(const std::string& path) {
    auto chain = certificates_of(path);
    if (!chain) return fail(std::move(chain.error()));
    return describe(*chain);
}

Result<void> check_private_key(const std::string& key_path, const std::string& certificate_path) {
    auto key = key_of(key_path);
    if (!key) return fail(std::move(key.error()));
    auto chain = certificates_of(certificate_path);
    if (!chain) return {};  // that file's own check says it
    return check_match(chain->front().get(), key->get(), key_path, certificate_path);
}

Result<void> check_client_ca(const std::string& path) {
    const CtxPtr context(SSL_CTX_new(TLS_server_method()));
    if (!context) return fail(Code::kInternal, "OpenSSL: {}", openssl_reason());
    return set_client_ca(context.get(), path);
}

Result<std::shared_ptr<const TlsContext>> load_tls(const TlsFiles& files) {
    auto chain = certificates_of(files.certificate);
    if (!chain) return fail(std::move(chain.error()));
    auto key = key_of(files.private_key);
    if (!key) return fail(std::move(key.error()));
    NETT_TRY(check_match(chain->front().get(), key->get(), files.private_key, files.certificate));

    CtxPtr context(SSL_CTX_new(TLS_server_method()));
    if (!context) return fail(Code::kInternal, "OpenSSL: {}", openssl_reason());
    set_profile(context.get());
    if (files.client_ca.empty()) {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    } else {
        NETT_TRY(set_client_ca(context.get(), files.client_ca));
    }
    if (SSL_CTX_use_certificate(context.get(), chain->front().get()) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), key->get()) != 1) {
        return fail(Code::kInvalidArgument, "{}: {}", files.certificate, openssl_reason());
    }
    for (std::size_t i = 1; i < chain->size(); ++i) {
        if (SSL_CTX_add1_chain_cert(context.get(), (*chain)[i].get()) != 1) {
            return fail(Code::kInvalidArgument, "{}: certificate {}: {}", files.certificate, i + 1, openssl_reason());
        }
    }
    TlsContext out;
    out.certificate = describe(*chain);
    out.mutual = !files.client_ca.empty();
    out.context = std::shared_ptr<SSL_CTX>(context.release(), SSL_CTX_free);
    return std::make_shared<const TlsContext>(std::move(out));
}

Result<CertificateSubject> peer_subject(const SSL* ssl) {
    const X509Ptr certificate(SSL_get1_peer_certificate(ssl));
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) {
        return fail(Code::kUnauthenticated, "no verified client certificate");
    }
    const auto* name = X509_get_subject_name(certificate.get());
    return CertificateSubject{entries_of(name, NID_commonName), entries_of(name, NID_organizationalUnitName)};
}

}  // namespace nett::metadata
