// A backup of one agent made into one for another host (nett-restore(8): a tar whose first member, manifest.json, lists
// the others in their order, with path and SHA-256).
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett::builder {

struct BackupAddition {
    std::string name;  // of the member: "certificates/etc/nett/server.pem"
    std::string role;  // configuration, certificate, image
    std::string path;  // where it is put
    std::string bytes;
    unsigned mode = 0600;
};

// Writes `to` (new, 0600): the members of the backup `from`, then the additions. Paths of the manifest lose the prefix
// `root`; a member that has an addition's name is left out. kDataLoss when `from` is not a backup, kResourceExhausted
// when the disk is full; then `to` is worthless.
Result<void> extend_backup(const std::string& from, const std::string& root, const std::string& to,
                           const std::vector<BackupAddition>& additions);

}  // namespace nett::builder
