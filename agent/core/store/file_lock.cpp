#include "agent/core/store/file_lock.hpp"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kMaxPidText = 32;

// What the owner wrote; "?" in the moment between its lock and its write.
std::string owner_of(int fd) {
    char text[kMaxPidText];
    const ssize_t size = ::pread(fd, text, sizeof text, 0);
    if (size <= 0) return "?";
    return std::string(trim(std::string_view(text, static_cast<std::size_t>(size))));
}

}  // namespace

Result<FileLock> FileLock::acquire(const std::string& path, std::string_view what) {
    // Two names of one file must meet in one lock.
    std::error_code error;
    const auto canonical = std::filesystem::weakly_canonical(path, error);
    const std::string lock_path = (error ? path : canonical.string()) + ".lock";
    auto fd = open_file(lock_path, O_RDWR | O_CREAT, 0600);
    if (!fd) return fail(std::move(fd.error()));
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return fail(errno_error(errno, "cannot lock", lock_path));
        return fail(Error{Code::kFailedPrecondition,
                          fmt::format("this {} is in use by process {}; stop that one, or give this agent another {}",
                                      what, owner_of(fd->get()), what),
                          path});
    }
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd->get(), 0) != 0) return fail(errno_error(errno, "cannot write", lock_path));
    NETT_TRY(write_all(fd->get(), pid, lock_path));
    return FileLock(std::move(*fd));
}

}  // namespace nett
