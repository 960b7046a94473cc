// The TLS profile: mutual, TLS 1.2 and 1.3, what real iPXE speaks (facts: ECDHE with AES-GCM, P-256/P-384/x25519).
// OpenSSL 3.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// PEM files.
struct TlsFiles {
    std::string certificate;  // the server's, leaf first; then its issuers, best up to the root, which iPXE needs sent
    std::string private_key;  // unencrypted
    std::string client_ca;    // roots (and intermediates) that client certificates must chain to; empty: ask for none
    friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

// What an operator wants to know of the server's certificate.
struct CertificateInfo {
    std::string subject;  // RFC 2253
    std::string issuer;
    std::string sha256;  // of the DER, hex
    SystemTime not_before{};
    SystemTime not_after{};
    std::vector<Address6> addresses;  // IPv6 subject alternative names
    bool sends_root = false;          // the file ends with a self-signed certificate
    bool ipxe_key = false;            // RSA, P-256 or P-384: what iPXE can verify
};

// The three files, each alone and together. Errors name the file and the reason.
Result<CertificateInfo> read_certificate(const std::string& path);
Result<void> check_private_key(const std::string& key_path, const std::string& certificate_path);
Result<void> check_client_ca(const std::string& path);

// A finished SSL_CTX with what it was made of. Connections keep it alive, so a newer one does not disturb them.
struct TlsContext {
    std::shared_ptr<SSL_CTX> context;
    CertificateInfo certificate;
    bool mutual = true;  // clients show a certificate of client_ca
};

// Reads the files and builds a context; kInvalidArgument, kNotFound or kPermissionDenied, with the path.
Result<std::shared_ptr<const TlsContext>> load_tls(const TlsFiles& files);

// The subject of the peer's verified certificate. kUnauthenticated without one, which a finished handshake excludes.
Result<CertificateSubject> peer_subject(const SSL* ssl);

}  // namespace nett::metadata
