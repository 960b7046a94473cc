// Runs FRR's vtysh, without a shell in between.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett {

inline constexpr std::chrono::seconds kVtyshTimeout{10};
inline constexpr std::size_t kMaxVtyshOutput = 16 * 1024 * 1024;

// Runs `path arguments… -c command` and returns its standard output. Blocking, at most `timeout`: then the process is
// killed. kInvalidArgument for a command with control characters, kUnavailable when vtysh cannot be started or fails,
// kDeadlineExceeded.
Result<std::string> run_vtysh(const std::string& path, const std::vector<std::string>& arguments,
                              const std::string& command, std::chrono::milliseconds timeout = kVtyshTimeout);

}  // namespace nett
