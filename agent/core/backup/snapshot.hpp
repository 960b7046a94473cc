// A consistent copy of the state file while it is written, and what a copy is checked for. Blocking; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett {

// A file that is removed when this goes.
class TemporaryFile {
public:
    TemporaryFile() = default;
    explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
    TemporaryFile(TemporaryFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TemporaryFile& operator=(TemporaryFile&& other) noexcept;
    ~TemporaryFile();
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// Copies the state file through SQLite's online backup into a file beside it (0600): everything up to some commit,
// nothing of the next. Writers go on meanwhile. The copy has no log of its own.
Result<TemporaryFile> copy_state(const std::string& state_file);

// What of a state file's records lies in files.
struct StateFiles {
    std::vector<std::string> artifacts;        // SHA-256 of every file of every artifact set
    std::vector<std::string> bmc_authorities;  // paths of the BMCs' CA files
};
Result<StateFiles> files_of_state(const std::string& state_file);

// Whose copy a state file is; all 0: nobody's, it stands alone.
struct StateOrigin {
    std::uint64_t cluster = 0;
    std::uint64_t revision = 0;  // of the cluster's state that it has
};
Result<StateOrigin> origin_of_state(const std::string& state_file);
// Makes a copy of a cluster's state one that stands alone, as "state migrate out" does.
Result<void> detach_state(const std::string& state_file);

// That it is a sound state file which this program can use, at its schema or an older one. Reads only. kDataLoss,
// kFailedPrecondition with the remedy. Answers the schema's version.
Result<int> check_state(const std::string& state_file);

}  // namespace nett
