#include "agent/cli/saved_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace nett::cli {

namespace {

tl::unexpected<std::string> failed(const char* what, const std::string& path) {
    return tl::unexpected(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

}  // namespace

tl::expected<SavedFile, std::string> SavedFile::begin(std::string path) {
    struct stat info = {};
    if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
        return tl::unexpected(fmt::format("{} is there and is no regular file; name another one", path));
    }
    std::string temporary = path + ".XXXXXX";
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);  // 0600
    if (fd < 0) return failed("make a file beside", path);
    return SavedFile(std::move(path), std::move(temporary), fd);
}

SavedFile::SavedFile(SavedFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_) {}

SavedFile::~SavedFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

tl::expected<void, std::string> SavedFile::write(std::string_view bytes) {
    size_ += bytes.size();
    while (!bytes.empty()) {
        const auto written = ::write(fd_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failed("write", path_);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

tl::expected<void, std::string> SavedFile::finish() {
    if (::fsync(fd_) != 0) return failed("write", path_);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("replace", path_);
    temporary_.clear();
    return {};
}

}  // namespace nett::cli
