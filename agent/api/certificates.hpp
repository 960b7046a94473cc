// The files by which the API authenticates itself and its clients, checked before gRPC gets them.
#pragma once

#include <string>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// Paths of PEM files.
struct ApiCertificates {
    std::string certificate;  // the chain, leaf first
    std::string private_key;
    std::string client_ca;  // the roots that the other side's certificate must chain to
    bool complete() const { return !certificate.empty() && !private_key.empty() && !client_ca.empty(); }
    friend bool operator==(const ApiCertificates&, const ApiCertificates&) = default;
};

// How often changed files are looked for.
inline constexpr std::chrono::seconds kCertificateRefresh{2};

// When the certificate ends. The error names the file and what is the matter with it: unreadable, no PEM, a key that is
// not the certificate's, a root file without a certificate. Reads the files; any thread.
Result<SystemTime> check_certificates(const ApiCertificates& files);

}  // namespace nett
