#include "plugins/metadata/disk_health.hpp"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

namespace nett::metadata {

namespace {

HealthCondition condition(const char* name, HealthState state, std::string message, const char* remedy = "") {
    return {"metadata", name, HealthScope::kLocal, state, std::move(message), remedy, {}};
}

}  // namespace

Result<DiskSpace> disk_space(const std::string& path) {
    struct statvfs found {};
    if (::statvfs(path.c_str(), &found) != 0) return fail(Code::kUnavailable, "{}: {}", path, std::strerror(errno));
    return DiskSpace{static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize, found.f_favail, found.f_files != 0,
                     (found.f_flag & ST_RDONLY) != 0};
}

HealthCondition disk_condition(const Result<DiskSpace>& space) {
    constexpr const char* kRemedy = "make room: \"show artifacts\" names sets that may be deleted";
    if (!space) return condition("disk", HealthState::kFailed, space.error().to_string(), "check the disk");
    if (space->read_only)
        return condition("disk", HealthState::kFailed, "the file system is read-only", "check the disk");
    if (space->counts_files && space->free_files == 0)
        return condition("disk", HealthState::kFailed, "the file system has no file left", kRemedy);
    const std::string text = fmt::format("{} MiB free", space->free_bytes >> 20U);
    if (space->free_bytes < kDiskFull) return condition("disk", HealthState::kFailed, text, kRemedy);
    if (space->free_bytes < kDiskLow) return condition("disk", HealthState::kDegraded, text, kRemedy);
    return condition("disk", HealthState::kOk, text);
}

Awaitable<HealthCondition> write_condition(Store& store, SystemTime now) {
    Transaction transaction;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    transaction.puts.push_back({kWriteProbeKind, "metadata", fmt::format("{{\"time_s\":{}}}", seconds)});
    transaction.actor = "plugin:metadata";
    transaction.reason = "health: the state can be written";
    const auto committed = co_await store.commit(std::move(transaction));
    if (committed) co_return condition("state-write", HealthState::kOk, "writable");
    co_return condition("state-write", HealthState::kFailed, committed.error().to_string(),
                        "check the state file and its disk");
}

}  // namespace nett::metadata
