#include "builder/authority.hpp"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "builder/openssl.hpp"

namespace nett::builder {
namespace {

using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

tl::unexpected<Error> openssl_failure(std::string_view what) {
    return fail(Code::kInternal, "{}: {}", what, openssl_reason());
}

// RFC 5280 section 4.1.2.2: positive and unique; 127 random bits are both.
bool set_serial(X509* certificate) {
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
    bytes[0] &= 0x7f;
    const std::unique_ptr<BIGNUM, FreeWith<BN_free>> number(BN_bin2bn(bytes, sizeof bytes, nullptr));
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_times(X509* certificate, const CertificateSpec& spec) {
    const auto seconds = [](SystemTime time) { return std::chrono::system_clock::to_time_t(time); };
    return ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(spec.not_before)) != nullptr &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(spec.not_after)) != nullptr;
}

bool add_name(X509_NAME* name, const char* field, const std::string& value) {
    if (value.empty()) return true;
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context{};
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string address_names(const std::vector<Address6>& addresses) {
    std::string result;
    for (const Address6& address : addresses) result += (result.empty() ? "IP:" : ",IP:") + address.to_string();
    return result;
}

// RSA servers also get keyEncipherment, for clients that negotiate RSA key exchange.
const char* key_usage(const CertificateSpec& spec) {
    if (spec.role == CertificateRole::kRoot) return "critical,keyCertSign,cRLSign";
    return spec.family == KeyFamily::kRsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
}

const char* usages(CertificateRole role) {
    if (role == CertificateRole::kAgent) return "serverAuth,clientAuth";
    return role == CertificateRole::kServer ? "serverAuth" : "clientAuth";
}

bool add_extensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
    const bool root = spec.role == CertificateRole::kRoot;
    bool good =
        add_extension(certificate, issuer, NID_basic_constraints, root ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
        add_extension(certificate, issuer, NID_key_usage, key_usage(spec)) &&
        add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
    if (!root) {
        good = good && add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
               add_extension(certificate, issuer, NID_ext_key_usage, usages(spec.role));
    }
    if (!spec.addresses.empty()) {
        good = good && add_extension(certificate, issuer, NID_subject_alt_name, address_names(spec.addresses));
    }
    return good;
}

Result<Credential> to_pem(X509* certificate, EVP_PKEY* key) {
    const BioPtr certificate_bio(BIO_new(BIO_s_mem()));
    const BioPtr key_bio(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(certificate_bio.get(), certificate) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        return openssl_failure("cannot encode a certificate");
    }
    return Credential{bio_text(certificate_bio.get()), bio_text(key_bio.get())};
}

KeyPtr make_key(KeyFamily family) {
    return KeyPtr(family == KeyFamily::kRsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
}

struct Issuer {
    X509Ptr certificate;
    KeyPtr key;
};

Result<Issuer> read_issuer(const Credential& credential) {
    const BioPtr certificate_bio = memory_bio(credential.certificate);
    const BioPtr key_bio = memory_bio(credential.key);
    Issuer issuer{X509Ptr(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr)),
                  KeyPtr(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr))};
    if (!issuer.certificate || !issuer.key) return openssl_failure("the root's certificate or key cannot be read");
    if (X509_check_private_key(issuer.certificate.get(), issuer.key.get()) != 1) {
        return openssl_failure("the root's certificate and key do not belong together");
    }
    return issuer;
}

}  // namespace

Result<Credential> issue(const CertificateSpec& spec, const Credential& issuer_credential) {
    Issuer issuer;
    if (spec.role != CertificateRole::kRoot) {
        auto read = read_issuer(issuer_credential);
        if (!read) return fail(std::move(read.error()));
        issuer = std::move(*read);
    }
    const KeyPtr key = make_key(spec.family);
    const X509Ptr certificate(X509_new());
    if (!key || !certificate) return openssl_failure("cannot make a key");
    X509* signer = issuer.certificate ? issuer.certificate.get() : certificate.get();
    EVP_PKEY* signing_key = issuer.key ? issuer.key.get() : key.get();
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    const bool good = X509_set_version(certificate.get(), X509_VERSION_3) == 1 && set_serial(certificate.get()) &&
                      set_times(certificate.get(), spec) && add_name(subject, "OU", spec.organizational_unit) &&
                      add_name(subject, "CN", spec.common_name) &&
                      X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer)) == 1 &&
                      X509_set_pubkey(certificate.get(), key.get()) == 1 &&
                      add_extensions(certificate.get(), signer, spec) &&
                      X509_sign(certificate.get(), signing_key, EVP_sha256()) != 0;
    if (!good) return openssl_failure("cannot make the certificate of " + spec.common_name);
    return to_pem(certificate.get(), key.get());
}

Result<std::string> cross_sign(const Credential& subject_credential, const Credential& issuer_credential) {
    auto subject = read_issuer(subject_credential);
    if (!subject) return fail(std::move(subject.error()));
    auto issuer = read_issuer(issuer_credential);
    if (!issuer) return fail(std::move(issuer.error()));
    const X509* root = subject->certificate.get();
    // It ends with the issuer: chains through it are refused then anyway.
    const ASN1_TIME* end = X509_get0_notAfter(root);
    if (ASN1_TIME_compare(X509_get0_notAfter(issuer->certificate.get()), end) < 0)
        end = X509_get0_notAfter(issuer->certificate.get());
    CertificateSpec spec;
    spec.role = CertificateRole::kRoot;
    const X509Ptr certificate(X509_new());
    X509* made = certificate.get();
    X509* signer = issuer->certificate.get();
    const bool good = made != nullptr && X509_set_version(made, X509_VERSION_3) == 1 && set_serial(made) &&
                      X509_set1_notBefore(made, X509_get0_notBefore(root)) == 1 && X509_set1_notAfter(made, end) == 1 &&
                      X509_set_subject_name(made, X509_get_subject_name(root)) == 1 &&
                      X509_set_issuer_name(made, X509_get_subject_name(signer)) == 1 &&
                      X509_set_pubkey(made, subject->key.get()) == 1 && add_extensions(made, signer, spec) &&
                      add_extension(made, signer, NID_authority_key_identifier, "keyid") &&
                      X509_sign(made, issuer->key.get(), EVP_sha256()) != 0;
    if (!good) return openssl_failure("cannot sign the root by the other");
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(bio.get(), made) != 1) return openssl_failure("cannot write a certificate");
    return bio_text(bio.get());
}

}  // namespace nett::builder
