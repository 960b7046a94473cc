#include "agent/core/inventory/verified_files.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

namespace nett {

Result<VerifiedFiles::Identity> VerifiedFiles::identity_of(int fd, const std::string& path) {
    constexpr std::int64_t kNanoseconds = 1'000'000'000;
    struct stat info {};
    if (::fstat(fd, &info) != 0) return fail(errno_error(errno, "cannot look at", path));
    if (!S_ISREG(info.st_mode)) return fail(Error{Code::kDataLoss, "not a regular file", path});
    return Identity{static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino), info.st_size,
                    info.st_mtim.tv_sec * kNanoseconds + info.st_mtim.tv_nsec,
                    info.st_ctim.tv_sec * kNanoseconds + info.st_ctim.tv_nsec};
}

Result<UniqueFd> VerifiedFiles::open(const std::string& sha256) {
    const auto path = files_.path_of(sha256);
    auto fd = open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd) return fd;
    const auto before = identity_of(fd->get(), path);
    if (!before) return fail(Error(before.error()));
    {
        const std::lock_guard lock(mutex_);
        const auto known = verified_.find(sha256);
        if (known != verified_.end() && known->second == *before) return fd;
    }
    NETT_TRY(files_.verify(sha256));
    // It was hashed by its name: what is open must be the same file, and unchanged.
    auto again = open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!again) return again;
    const auto after = identity_of(again->get(), path);
    if (!after || *after != *before) return fail(Error{Code::kAborted, "replaced while it was read", path});
    const std::lock_guard lock(mutex_);
    verified_[sha256] = *before;
    return fd;
}

}  // namespace nett
