// A child process with bounds, for checks that are programs of the operator.
//
// It has a process group of its own (so that everything it started can be killed), no capabilities that it could
// inherit, no way to new privileges (PR_SET_NO_NEW_PRIVS), none of the agent's descriptors, an environment of its own,
// limits on processor time, memory, files and processes, and ends with the agent (PR_SET_PDEATHSIG).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett::anycast {

struct SandboxSettings {
    std::vector<std::string> command;      // argv; the first is an absolute path
    std::vector<std::string> environment;  // "NAME=value"
    std::string user;                      // empty: nobody when we are root, else unchanged
    std::chrono::seconds processor_time{1};
};

inline constexpr std::size_t kMaxCheckMemory = 512UL << 20U;   // address space; a Python interpreter takes 40 MB
inline constexpr std::size_t kMaxCheckFileBytes = 1UL << 20U;  // a file that it writes
inline constexpr std::size_t kMaxCheckFiles = 64;
inline constexpr std::size_t kMaxCheckProcesses = 256;  // of its user altogether, as RLIMIT_NPROC counts
inline constexpr const char* kDefaultCheckUser = "nobody";

struct Child {
    pid_t pid = -1;   // also of its process group
    int pidfd = -1;   // readable when it has ended; the caller closes it
    int output = -1;  // its standard output and error, non-blocking; the caller closes it
};

// kNotFound: no such user or program; kPermissionDenied: the user cannot be changed to, the program not be run.
Result<Child> spawn_sandboxed(const SandboxSettings& settings);

}  // namespace nett::anycast
