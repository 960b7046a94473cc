// Issuing certificates for the lab: a root, the metadata servers' certificate, tenants' client certificates. P-256 is
// the recommendation: small, and iPXE 2.0 and OpenSSL 3 share it without surprises; RSA is for iPXE 1.21, which knows
// nothing else. Production certificates come from the platform's CA.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "builder/x509.hpp"

namespace nett::builder {

// kAgent is both: an agent serves the management API, and reports to other agents.
enum class CertificateRole { kRoot, kServer, kClient, kAgent };

struct CertificateSpec {
    CertificateRole role = CertificateRole::kClient;
    std::string common_name;
    std::string organizational_unit;      // empty: none
    std::vector<Address6> addresses;      // iPAddress subject alternative names (RFC 5280 section 4.2.1.6)
    KeyFamily family = KeyFamily::kP256;  // of the new key: kP256 or kRsa (2048 bits)
    SystemTime not_before{};
    SystemTime not_after{};
};

// A certificate and its private key (PKCS #8), both PEM.
struct Credential {
    std::string certificate;
    std::string key;
};

// Makes a fresh key and a certificate for it, signed by `issuer` (a root's credential), or by itself for kRoot, where
// `issuer` is not looked at. No revocation URLs are put in: iPXE gives up when it cannot reach an OCSP responder.
Result<Credential> issue(const CertificateSpec& spec, const Credential& issuer);

// The root `subject` again, signed by the root `issuer` (PEM): whoever trusts the issuer then trusts what the subject
// signs. For the time when one takes over from the other.
Result<std::string> cross_sign(const Credential& subject, const Credential& issuer);

}  // namespace nett::builder
