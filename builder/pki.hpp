// The lab PKI as a folder of PEM files: root.pem, root.key, server.pem (leaf, then root), server.key, <tenant>.pem,
// <tenant>.key.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "builder/x509.hpp"

namespace nett::builder {

inline constexpr int kDefaultCertificateDays = 365;  // the document's --not-after 8760h

// Root and server certificates are valid from this long ago: a machine whose clock battery is empty wakes up at its
// firmware's build date, and iPXE refuses certificates that are not valid yet. The past costs no security; the end of
// validity does.
inline constexpr int kDefaultBackdateDays = 5 * 365;
inline constexpr int kRootDays = 10 * 365;

struct PkiRequest {
    std::string folder;
    int days = kDefaultCertificateDays;
    int backdate_days = kDefaultBackdateDays;
    bool force = false;  // replace what exists
    SystemTime now{};
};

// Makes the folder, the root and the server's certificate; answers with the files written. kAlreadyExists when a root
// or server file is there and `force` is not set.
Result<std::vector<std::string>> init_pki(const PkiRequest& request, const std::vector<Address6>& server_addresses,
                                          KeyFamily family = KeyFamily::kP256);

// A new key and certificate for the metadata servers from the folder's root and of its key's family; replaces the old
// ones (that is what it is for).
Result<std::vector<std::string>> renew_server(const PkiRequest& request, const std::vector<Address6>& server_addresses);

struct TenantSubject {
    std::string name;                 // of the files
    std::string common_name;          // empty: "<name>.boot.example"
    std::string organizational_unit;  // empty: none
};
Result<std::vector<std::string>> issue_tenant(const PkiRequest& request, const TenantSubject& subject);

// A certificate for the management API: with addresses an agent's (it serves and calls), without a client's. `name` is
// of the files and, without `common_name`, of the subject.
struct ApiSubject {
    std::string name;
    std::string common_name;
    std::vector<Address6> addresses;
};
Result<std::vector<std::string>> issue_api(const PkiRequest& request, const ApiSubject& subject);

}  // namespace nett::builder
