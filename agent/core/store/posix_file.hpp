// A few POSIX file operations with Result, for what must survive a power cut.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "agent/sdk/result.hpp"

namespace nett {

// Owns a file descriptor.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

// An Error of errno's class and text: ENOENT kNotFound, EACCES, EPERM and EROFS kPermissionDenied, ENOSPC and EDQUOT
// kResourceExhausted, else kInternal. `context` is the path.
Error errno_error(int number, std::string_view what, std::string context);

// open(2) with O_CLOEXEC.
Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0);
// All of `bytes`, or an error.
Result<void> write_all(int fd, std::string_view bytes, const std::string& path);
Result<void> sync_file(int fd, const std::string& path);
// Makes a rename, link or unlink in the directory durable.
Result<void> sync_directory(const std::string& path);
// "/var/lib/nett" of "/var/lib/nett/state.db"; "." when there is no slash.
std::string directory_of(const std::string& path);

}  // namespace nett
