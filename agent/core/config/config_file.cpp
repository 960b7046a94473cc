// Writing the configuration file so that a crash at any moment leaves a whole one.
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/config/candidate.hpp"
#include "agent/core/store/posix_file.hpp"

namespace nett {

namespace {

constexpr mode_t kNewFileMode = 0640;
constexpr mode_t kPrivateMode = 0600;

// A link is written through, so that it stays a link.
std::string resolved(const std::string& path) {
    char* real = realpath(path.c_str(), nullptr);
    if (real == nullptr) return path;
    std::string out = real;
    free(real);
    return out;
}

// The new bytes in a file beside `path`, with its mode and owner; `mode` while there is no such file.
Result<std::string> write_beside(const std::string& path, std::string_view text, mode_t mode) {
    std::string temporary = path + ".XXXXXX";
    const UniqueFd file(mkostemp(temporary.data(), O_CLOEXEC));
    if (file.get() < 0) return fail(errno_error(errno, "cannot create a file beside it", path));
    struct stat old = {};
    const bool exists = stat(path.c_str(), &old) == 0;
    auto written = write_all(file.get(), text, path);
    if (written) written = sync_file(file.get(), path);
    if (written && fchmod(file.get(), exists ? old.st_mode & 07777U : mode) != 0)
        written = fail(errno_error(errno, "cannot set the mode", path));
    if (written && exists && geteuid() == 0 && fchown(file.get(), old.st_uid, old.st_gid) != 0) {
        written = fail(errno_error(errno, "cannot set the owner", path));
    }
    if (!written) {
        unlink(temporary.c_str());
        return fail(std::move(written.error()));
    }
    return temporary;
}

// The temporary file becomes `target`; durable.
Result<void> put_in_place(const std::string& temporary, const std::string& target) {
    if (rename(temporary.c_str(), target.c_str()) != 0) {
        auto failure = fail(errno_error(errno, "cannot replace", target));
        unlink(temporary.c_str());
        return failure;
    }
    return sync_directory(directory_of(target));
}

}  // namespace

Result<void> write_private_file(const std::string& path, std::string_view text) {
    auto temporary = write_beside(path, text, kPrivateMode);
    if (!temporary) return fail(std::move(temporary.error()));
    return put_in_place(*temporary, path);
}

Result<void> write_config_file(const std::string& path, std::string_view text) {
    const auto target = resolved(path);
    auto temporary = write_beside(target, text, kNewFileMode);
    if (!temporary) return fail(std::move(temporary.error()));
    // The former file is a convenience (it may hold comments); that it cannot be kept must not keep this one from being
    // saved.
    const auto former = target + ".sav";
    unlink(former.c_str());
    [[maybe_unused]] const int kept = link(target.c_str(), former.c_str());
    return put_in_place(*temporary, target);
}

}  // namespace nett
