// Stored artifacts for other servers: no byte goes out of a file that was not hashed as it is now.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "agent/core/inventory/artifact_files.hpp"

namespace nett {

// Thread-safe; `files` outlives it.
class VerifiedFiles {
public:
    explicit VerifiedFiles(const ArtifactFiles& files) : files_(files) {}

    // Open for reading. The first time, and after each change of the file, it is hashed: blocks for as long. kNotFound:
    // it is not here. kDataLoss: damaged. kAborted: it was replaced meanwhile.
    Result<UniqueFd> open(const std::string& sha256);

private:
    using Identity = std::array<std::int64_t, 5>;  // device, inode, size, mtime, ctime: the content changes with them

    static Result<Identity> identity_of(int fd, const std::string& path);

    const ArtifactFiles& files_;
    std::mutex mutex_;  // guards verified_
    std::map<std::string, Identity> verified_;
};

}  // namespace nett
