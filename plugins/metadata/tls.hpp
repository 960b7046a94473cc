// The TLS profile: mutual, TLS 1.2 and 1.3, what real iPXE speaks (facts: ECDHE with AES-GCM, P-256/P-384/x25519).
// OpenSSL 3.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>
#include <boost/system/error_code.hpp>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/certificates.hpp"
#include "plugins/metadata/client_verifier.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// PEM files.
struct TlsFiles {
    std::string certificate;  // the server's, leaf first; then its issuers, best up to the root, which iPXE needs sent
    std::string private_key;  // unencrypted
    std::string client_ca;    // roots (and intermediates) that client certificates must chain to; empty: ask for none
    std::vector<std::string> client_crls = {};  // when any: every CA of a client's chain must have a valid list there
    friend bool operator==(const TlsFiles&, const TlsFiles&) = default;

    std::vector<std::string> all() const;
};

// The files, each alone and together. Errors name the file and the reason.
Result<CertificateInfo> read_certificate(const std::string& path);
Result<void> check_private_key(const std::string& key_path, const std::string& certificate_path);
Result<void> check_client_ca(const std::string& path);
Result<void> check_client_crl(const std::string& path);

// A finished SSL_CTX with what it was made of. Connections keep it alive, so a newer one does not disturb them; its
// ticket keys are its own, so sessions are resumed only under the CAs and lists that they were verified with.
struct TlsContext {
    std::shared_ptr<SSL_CTX> context;
    TlsFiles files;
    CertificateInfo certificate;
    std::vector<CertificateInfo> authorities;     // for clients
    std::vector<RevocationListInfo> revocations;  // of client certificates
    std::unique_ptr<ClientVerifier> verifier;
    bool mutual = true;  // clients show a certificate of client_ca

    // The subject of the peer's certificate after the handshake, new or resumed. kUnauthenticated when the certificate
    // of a resumed session has ceased to be valid, or there is none, which a finished handshake excludes. Empty when
    // clients are not asked.
    Result<CertificateSubject> verified_peer(const SSL* ssl, SystemTime now) const;
};

// Reads all files and builds a context; kInvalidArgument, kNotFound or kPermissionDenied, with the path.
Result<std::shared_ptr<const TlsContext>> load_tls(const TlsFiles& files);

bool is_resumed(const SSL* ssl);
// Why a handshake failed, in a few words of OpenSSL: "certificate has expired", "no shared cipher".
std::string handshake_failure(const SSL* ssl, const boost::system::error_code& error);

}  // namespace nett::metadata
