// The last log lines of this process, for `show log` and the support archive: where stderr went, nobody here knows.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

inline constexpr std::size_t kLogHistory = 1000;       // lines: some hours of a busy agent
inline constexpr std::size_t kLongestKeptLine = 1024;  // bytes; with the above the history is 1 MiB at most

struct LogLine {
    SystemTime time;
    LogLevel level = LogLevel::kInfo;
    std::string component;
    std::string text;  // as format_log_line() makes it, cut at kLongestKeptLine
};

// Oldest first. Thread-safe.
std::vector<LogLine> recent_log_lines();

}  // namespace nett
