// Putting a backup back. Blocking; for a program of its own.
#pragma once

#include <string>
#include <vector>

#include "agent/core/backup/manifest.hpp"
#include "agent/core/backup/snapshot.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// A sound archive that this program can use.
struct VerifiedBackup {
    std::string archive;
    BackupManifest manifest;
    int schema = 0;  // of the state in it
    StateOrigin origin = {};
};

// Reads the whole archive: every member is there, in order, with the digest, and the state can be used. Writes only a
// temporary file in `scratch`, for the state's check. kDataLoss, kFailedPrecondition, kNotFound with the remedy.
Result<VerifiedBackup> verify_backup(const std::string& archive, const std::string& scratch);

struct RestoredFile {
    std::string path;
    std::string kept;      // what the former file is called now; empty: there was none
    bool already = false;  // the same content was there; nothing was done
};

// Where a file of the backup belongs below `root`.
std::string target_of(const BackupFile& file, const std::string& root);

// Puts the files in place: all are written beside their places and made durable first; then each is exchanged by a
// rename. When one cannot be, those before it are taken back. The files that were there stay beside the new ones as
// PATH.replaced-TIME; a database's log goes with it. The agent's lock is held meanwhile: kFailedPrecondition when an
// agent runs on the state file. New files belong to whom the old ones, else their directories, belong.
// `detach`: a state that is a cluster's copy stands alone from then on.
Result<std::vector<RestoredFile>> restore_backup(const VerifiedBackup& backup, const std::string& root, SystemTime now,
                                                 bool detach = false);

}  // namespace nett
