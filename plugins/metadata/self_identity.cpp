#include "plugins/metadata/self_identity.hpp"

#include <array>

#include <openssl/evp.h>
#include <openssl/x509.h>

namespace nett::metadata {

namespace {

constexpr long kYears = 20L * 365 * 24 * 3600;  // longer than any process lives

SelfIdentity make_identity() {
    SelfIdentity made{KeyPtr(EVP_EC_gen("P-256")), X509Ptr(X509_new())};
    X509* certificate = made.certificate.get();
    if (!made.key || certificate == nullptr) return {};
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -24L * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), kYears);
    X509_NAME* name = X509_get_subject_name(certificate);
    const std::array<unsigned char, 15> text{'n', 'e', 't', 't', ' ', 's', 'e', 'l', 'f', '-', 'p', 'r', 'o', 'b', 'e'};
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text.data(), static_cast<int>(text.size()), -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, made.key.get());
    if (X509_sign(certificate, made.key.get(), EVP_sha256()) == 0) return {};
    return made;
}

}  // namespace

const SelfIdentity& self_identity() {
    static const SelfIdentity* const made = new SelfIdentity(make_identity());  // reachable until the process ends
    return *made;
}

}  // namespace nett::metadata
