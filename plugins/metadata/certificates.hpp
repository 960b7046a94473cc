// Certificates, keys and revocation lists from PEM files, and what an operator wants to know of them. OpenSSL 3.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/free_with.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

struct CertificateInfo {
    std::string subject;  // RFC 2253
    std::string issuer;
    std::string sha256;  // of the DER, hex
    SystemTime not_before{};
    SystemTime not_after{};
    std::vector<Address6> addresses;  // IPv6 subject alternative names
    std::vector<std::string> names;   // all of them as text: "2001:db8::1", "boot.example"
    bool sends_root = false;          // the file ends with a self-signed certificate
    bool ipxe_key = false;            // RSA, P-256 or P-384: what iPXE can verify
};

struct RevocationListInfo {
    std::string file;
    std::string issuer;
    SystemTime issued{};
    SystemTime next{};  // when its successor must be there; the epoch: it does not say
    int revoked = 0;
};

// The reason of OpenSSL's last error; empties its queue.
std::string openssl_reason();

// All objects of a PEM file, at least one. kInvalidArgument, kNotFound or kPermissionDenied, with the path.
Result<std::vector<X509Ptr>> read_certificates(const std::string& path);
Result<std::vector<CrlPtr>> read_revocation_lists(const std::string& path);
// Unencrypted; the path and the reason otherwise.
Result<KeyPtr> read_private_key(const std::string& path);

// Of a chain, leaf first; never empty.
CertificateInfo describe(const std::vector<X509Ptr>& chain);
CertificateInfo describe(X509* certificate);
RevocationListInfo describe(const X509_CRL* list, std::string file);
SystemTime time_of(const ASN1_TIME* time);
std::string name_text(const X509_NAME* name);
CertificateSubject subject_of(const X509* certificate);
// SHA-256 of the DER, 32 bytes.
std::string digest_of(const X509* certificate);

}  // namespace nett::metadata
