#include "agent/core/store/posix_file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace nett {

Error errno_error(int number, std::string_view what, std::string context) {
    Code code = Code::kInternal;
    switch (number) {
        case ENOENT:
        case ENOTDIR:
            code = Code::kNotFound;
            break;
        case EACCES:
        case EPERM:
        case EROFS:
            code = Code::kPermissionDenied;
            break;
        case ENOSPC:
        case EDQUOT:
        case EMFILE:
        case ENFILE:
            code = Code::kResourceExhausted;
            break;
        default:
            break;
    }
    return Error{code, fmt::format("{}: {}", what, std::strerror(number)), std::move(context)};
}

Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) return fail(errno_error(errno, "cannot open", path));
    return fd;
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail(errno_error(errno, "cannot write", path));
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> sync_file(int fd, const std::string& path) {
    if (::fsync(fd) != 0) return fail(errno_error(errno, "cannot make durable", path));
    return {};
}

Result<void> sync_directory(const std::string& path) {
    auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!fd) return fail(std::move(fd.error()));
    return sync_file(fd->get(), path);
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace nett
