// A PKI as a folder of PEM files: root.pem, server.pem (leaf, intermediates, root), server.key, clients.pem (the roots
// that metadata servers accept machines of), <tenant>.pem, <tenant>.key. The CA is the folder's own root.key, or
// step-ca when step-ca.json is there: the functions below then ask that.
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
    bool force = false;      // replace what exists
    std::string token_file;  // step-ca: a one-time token in place of the provisioner's password
    SystemTime now{};
};

// Makes the folder, the root and the server's certificate; answers with the files written. kAlreadyExists when a root
// or server file is there and `force` is not set.
Result<std::vector<std::string>> init_pki(const PkiRequest& request, const std::vector<Address6>& server_addresses,
                                          KeyFamily family = KeyFamily::kP256);

// A new key and certificate for the metadata servers from the folder's root and of its key's family; replaces the old
// ones (that is what it is for).
Result<std::vector<std::string>> renew_server(const PkiRequest& request, const std::vector<Address6>& server_addresses);

// A new root takes over while both are trusted: root.pem and root.key are the new one's, the old one stays as
// root-old.pem and root-old.key, server.pem is a chain that leads to either, clients.pem has both. Images and tenants'
// certificates of the old root go on working until finish_rotation. kFailedPrecondition: a rotation is under way, or
// the CA is step-ca.
Result<std::vector<std::string>> start_rotation(const PkiRequest& request,
                                                const std::vector<Address6>& server_addresses);
// Trusts the new root alone; the old root and its key are removed. kFailedPrecondition: no rotation is under way, or
// certificates in the folder are still of the old root, unless `force` is set.
Result<std::vector<std::string>> finish_rotation(const PkiRequest& request);

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
