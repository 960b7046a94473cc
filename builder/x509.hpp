// Certificates and keys as the builder needs them: PEM in, facts and DER out. All crypto is OpenSSL's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett::builder {

enum class KeyFamily { kRsa, kP256, kP384, kOther };
std::string_view to_string(KeyFamily family);

struct Certificate {
    std::string der;
    std::string subject;        // RFC 2253 text: "CN=tenant-a.boot.example"
    std::string issuer;         // the same of who signed it
    std::string common_name;    // empty when there is none
    bool is_authority = false;  // basicConstraints CA:TRUE
    bool is_self_signed = false;
    bool for_client = false;  // the extended key usage allows (or does not restrict) TLS clients
    bool for_server = false;
    KeyFamily key = KeyFamily::kOther;
    SystemTime not_before{};
    SystemTime not_after{};
    std::vector<std::string> addresses;  // IPv6 iPAddress subject alternative names, RFC 5952 text

    std::string sha256() const;  // of the DER, 32 raw bytes
};

// Every certificate of a PEM text, in its order; at least one. kInvalidArgument names what is wrong.
Result<std::vector<Certificate>> parse_certificates(std::string_view pem);

// One certificate in DER, all of `der`.
Result<Certificate> parse_der_certificate(std::string_view der);

// The one private key of a PEM text, as DER that iPXE reads. An encrypted key is refused: iPXE cannot ask for a
// passphrase.
struct PrivateKey {
    std::string der;  // PKCS #8
    KeyFamily family = KeyFamily::kOther;
};
Result<PrivateKey> parse_private_key(std::string_view pem);

// Whether the key's public half is the certificate's.
Result<bool> key_matches(std::string_view key_pem, const Certificate& certificate);

// Whether `chain` (leaf first, then intermediates in any order) leads to `root`; validity times are not looked at.
Result<void> verify_chain(const std::vector<Certificate>& chain, const Certificate& root);

}  // namespace nett::builder
