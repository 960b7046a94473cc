// Whether the state and the artifacts can still be written: free space, and a real commit now and then.
#pragma once

#include "agent/sdk/plugin.hpp"

namespace nett::metadata {

inline constexpr std::uint64_t kDiskFull = 32ULL << 20U;   // below: SQLite's log and an artifact's import fail next
inline constexpr std::uint64_t kDiskLow = 256ULL << 20U;   // below: the next artifact set may not fit
inline constexpr std::chrono::seconds kWriteInterval{60};  // between two commits that only prove that commits work
inline constexpr const char* kWriteProbeKind = "write-probe";

struct DiskSpace {
    std::uint64_t free_bytes = 0;  // for an unprivileged user
    std::uint64_t free_files = 0;
    bool counts_files = false;  // some file systems have no such limit
    bool read_only = false;
};

// Of the file system that `path` is on.
Result<DiskSpace> disk_space(const std::string& path);
// Pure.
HealthCondition disk_condition(const Result<DiskSpace>& space);

// Commits one small record and says how it went, as metadata/state-write.
Awaitable<HealthCondition> write_condition(Store& store, SystemTime now);

}  // namespace nett::metadata
