#include "builder/x509.hpp"

#include <ctime>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "agent/sdk/address.hpp"
#include "builder/openssl.hpp"

namespace nett::builder {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;

struct StackFree {
    void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using StackPtr = std::unique_ptr<STACK_OF(X509), StackFree>;

KeyFamily family_of(const EVP_PKEY* key) {
    if (key == nullptr) return KeyFamily::kOther;
    if (EVP_PKEY_is_a(key, "RSA")) return KeyFamily::kRsa;
    char group[32] = {};
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1)
        return KeyFamily::kOther;
    const std::string_view name(group);
    if (name == "prime256v1") return KeyFamily::kP256;
    return name == "secp384r1" ? KeyFamily::kP384 : KeyFamily::kOther;
}

SystemTime time_of(const ASN1_TIME* time) {
    std::tm broken_down{};
    if (ASN1_TIME_to_tm(time, &broken_down) != 1) return {};
    return std::chrono::system_clock::from_time_t(::timegm(&broken_down));
}

std::string subject_text(const X509_NAME* name) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
    return bio_text(bio.get());
}

std::string common_name_of(const X509_NAME* name) {
    const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (index < 0) return {};
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
    if (size < 0) return {};
    std::string result(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
    return result;
}

std::vector<std::string> addresses_of(const X509* certificate) {
    std::vector<std::string> result;
    const NamesPtr names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        Address6::bytes_type bytes{};
        if (name->type != GEN_IPADD || ASN1_STRING_length(name->d.iPAddress) != static_cast<int>(bytes.size()))
            continue;
        const unsigned char* data = ASN1_STRING_get0_data(name->d.iPAddress);
        std::copy(data, data + bytes.size(), bytes.begin());
        result.push_back(Address6(bytes).to_string());
    }
    return result;
}

Result<std::string> der_of(X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    if (size < 0) return fail(Code::kInternal, "cannot encode a certificate: {}", openssl_reason());
    std::string result(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return result;
}

X509Ptr from_der(std::string_view der) {
    const auto* data = reinterpret_cast<const unsigned char*>(der.data());
    return X509Ptr(d2i_X509(nullptr, &data, static_cast<long>(der.size())));
}

Result<Certificate> describe(X509* certificate) {
    auto der = der_of(certificate);
    if (!der) return fail(std::move(der.error()));
    Certificate result;
    result.der = std::move(*der);
    result.subject = subject_text(X509_get_subject_name(certificate));
    result.issuer = subject_text(X509_get_issuer_name(certificate));
    result.common_name = common_name_of(X509_get_subject_name(certificate));
    result.is_authority = X509_check_ca(certificate) == 1;
    result.is_self_signed = (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
    result.for_client = X509_check_purpose(certificate, X509_PURPOSE_SSL_CLIENT, 0) == 1;
    result.for_server = X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0) == 1;
    result.key = family_of(X509_get0_pubkey(certificate));
    result.not_before = time_of(X509_get0_notBefore(certificate));
    result.not_after = time_of(X509_get0_notAfter(certificate));
    result.addresses = addresses_of(certificate);
    return result;
}

int refuse_passphrase(char*, int, int, void*) {
    return -1;
}

Result<KeyPtr> read_key(std::string_view pem) {
    const BioPtr bio = memory_bio(pem);
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_passphrase, nullptr));
    if (key) return key;
    if (pem.find("ENCRYPTED") != std::string_view::npos) {
        ERR_clear_error();
        return fail(
            Code::kInvalidArgument,
            "the private key is encrypted, and iPXE cannot ask for a passphrase: decrypt it first (openssl pkey)");
    }
    return fail(Code::kInvalidArgument, "holds no private key in PEM ({})", openssl_reason());
}

}  // namespace

std::string_view to_string(KeyFamily family) {
    switch (family) {
        case KeyFamily::kRsa:
            return "RSA";
        case KeyFamily::kP256:
            return "P-256";
        case KeyFamily::kP384:
            return "P-384";
        case KeyFamily::kOther:
            break;
    }
    return "other";
}

std::string Certificate::sha256() const {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(der.data()), der.size(), digest);
    return std::string(reinterpret_cast<const char*>(digest), sizeof digest);
}

Result<std::vector<Certificate>> parse_certificates(std::string_view pem) {
    const BioPtr bio = memory_bio(pem);
    std::vector<Certificate> result;
    for (;;) {
        const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, refuse_passphrase, nullptr));
        if (!certificate) break;
        auto described = describe(certificate.get());
        if (!described) return fail(std::move(described.error()));
        result.push_back(std::move(*described));
    }
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string reason = openssl_reason();
    if (!at_end) return fail(Code::kInvalidArgument, "certificate {} cannot be read ({})", result.size() + 1, reason);
    if (result.empty()) return fail(Code::kInvalidArgument, "holds no certificate in PEM");
    return result;
}

Result<Certificate> parse_der_certificate(std::string_view der) {
    const X509Ptr certificate = from_der(der);
    if (!certificate) return fail(Code::kInvalidArgument, "is no certificate in DER ({})", openssl_reason());
    return describe(certificate.get());
}

Result<PrivateKey> parse_private_key(std::string_view pem) {
    auto key = read_key(pem);
    if (!key) return fail(std::move(key.error()));
    PrivateKey result;
    result.family = family_of(key->get());
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (i2d_PKCS8PrivateKey_bio(bio.get(), key->get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        return fail(Code::kInternal, "cannot encode the private key: {}", openssl_reason());
    }
    result.der = bio_text(bio.get());
    return result;
}

Result<bool> key_matches(std::string_view key_pem, const Certificate& certificate) {
    auto key = read_key(key_pem);
    if (!key) return fail(std::move(key.error()));
    const X509Ptr parsed = from_der(certificate.der);
    const bool matches = parsed && X509_check_private_key(parsed.get(), key->get()) == 1;
    ERR_clear_error();
    return matches;
}

Result<void> verify_chain(const std::vector<Certificate>& chain, const Certificate& root) {
    const StorePtr store(X509_STORE_new());
    const X509Ptr anchor = from_der(root.der);
    const X509Ptr leaf = from_der(chain.front().der);
    std::vector<X509Ptr> owned;
    const StackPtr intermediates(sk_X509_new_null());
    for (std::size_t i = 1; i < chain.size(); ++i) {
        owned.push_back(from_der(chain[i].der));
        sk_X509_push(intermediates.get(), owned.back().get());
    }
    const StoreContextPtr context(X509_STORE_CTX_new());
    X509_STORE_add_cert(store.get(), anchor.get());
    X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), intermediates.get());
    X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_NO_CHECK_TIME);
    if (X509_verify_cert(context.get()) == 1) return {};
    const int code = X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    return fail(Code::kInvalidArgument, "{} does not chain to the root {}: {}", chain.front().subject, root.subject,
                X509_verify_cert_error_string(code));
}

}  // namespace nett::builder
