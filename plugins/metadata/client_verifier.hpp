// Client certificates that were verified a moment ago are known again by their digest.
//
// A machine's image presents the same certificate at every connection, and building and checking its chain is a fifth
// of a handshake's work. A verifier belongs to one TlsContext, so to one set of CAs and revocation lists: a new set
// starts with an empty memory. That the peer has the key is proved in every full handshake, known or not.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <openssl/types.h>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// Thread-safe.
class ClientVerifier {
public:
    // For SSL_CTX_set_cert_verify_callback; `self` is a ClientVerifier.
    static int verify_callback(X509_STORE_CTX* context, void* self);

    // Takes this certificate for verified as long as this exists: the server's own probe (self_probe.hpp), which no CA
    // has signed. Before the first handshake.
    void trust(const X509* certificate);

    // The subject of a certificate that was verified here and is valid still: a resumed session brings its certificate
    // without a chain to verify. kUnauthenticated otherwise.
    Result<CertificateSubject> recall(const X509* leaf, SystemTime now);

private:
    struct Known {
        SystemTime from{};
        SystemTime until{};  // the end of the first in its chain, or of a revocation list that it was looked up in
        std::shared_ptr<const CertificateSubject> subject;
    };
    std::shared_ptr<const CertificateSubject> find(const std::string& digest, SystemTime now);
    void remember(const std::string& digest, Known known);

    std::string trusted_;  // digest; empty: none
    std::shared_ptr<const CertificateSubject> trusted_subject_;
    std::mutex mutex_;
    std::map<std::string, Known, std::less<>> known_;  // by SHA-256 of the DER
};

}  // namespace nett::metadata
