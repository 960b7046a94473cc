// One agent a state file.
#pragma once

#include <string>

#include "agent/core/store/posix_file.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// An exclusive flock(2) on `<path>.lock`, held until destroyed; the kernel drops it when the process dies. The file
// holds the owner's pid and stays behind: unlinking it would let two agents lock two different files of that name. Not
// the state file itself: closing any descriptor of that one would drop SQLite's own POSIX locks.
class FileLock {
public:
    FileLock() = default;
    // kFailedPrecondition names the process that has it. `what` is for the message: "state file".
    static Result<FileLock> acquire(const std::string& path, std::string_view what);

private:
    explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace nett
