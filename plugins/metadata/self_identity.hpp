// The certificate with which the service asks itself (self_probe.hpp): self-signed, made in memory at the first use, so
// that no other process can show it.
#pragma once

#include "plugins/metadata/certificates.hpp"

namespace nett::metadata {

struct SelfIdentity {
    KeyPtr key;           // both null when OpenSSL cannot make a key
    X509Ptr certificate;  // CN=nett self-probe
};

// The same for the life of the process. Thread-safe.
const SelfIdentity& self_identity();

}  // namespace nett::metadata
