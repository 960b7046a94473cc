#include "plugins/metadata/open_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace nett::metadata {

namespace {

std::int64_t nanoseconds(const timespec& time) {
    constexpr std::int64_t kPerSecond = 1'000'000'000;
    return time.tv_sec * kPerSecond + time.tv_nsec;
}

FileIdentity identity_of(const struct stat& status) {
    return {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
            static_cast<std::uint64_t>(status.st_size), nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

}  // namespace

Result<std::shared_ptr<const OpenFile>> OpenFile::open(const std::string& path, std::uint64_t size) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        const int error = errno;
        return fail(error == ENOENT ? Code::kNotFound : Code::kInternal, "{}: {}", path, std::strerror(error));
    }
    struct stat status {};
    const bool read = ::fstat(fd, &status) == 0;
    const int error = errno;
    std::shared_ptr<const OpenFile> file(new OpenFile(fd, identity_of(status)));
    if (!read) return fail(Code::kInternal, "{}: {}", path, std::strerror(error));
    if (!S_ISREG(status.st_mode)) return fail(Code::kDataLoss, "{} is not a regular file", path);
    if (static_cast<std::uint64_t>(status.st_size) != size) {
        return fail(Code::kDataLoss, "{} has {} bytes instead of {}; import the artifact set again", path,
                    status.st_size, size);
    }
    return file;
}

std::shared_ptr<const OpenFile> OpenFile::arriving(std::shared_ptr<ArrivingFile> file) {
    const std::shared_ptr<OpenFile> made(new OpenFile(-1, {}));
    made->arriving_ = std::move(file);
    return made;
}

OpenFile::~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
}

Result<std::size_t> OpenFile::read_at(std::uint64_t offset, char* buffer, std::size_t length) const {
    if (arriving_) return arriving_->read_at(offset, buffer, length);
    std::size_t done = 0;
    while (done < length) {
        const auto count = ::pread(fd_, buffer + done, length - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail(Code::kInternal, "reading a served file: {}", std::strerror(errno));
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    // After the read: what was written before it is seen. A rename over the name does not touch this inode's bytes, but
    // its ctime (the link count): the bytes are then still the verified ones.
    struct stat status {};
    if (::fstat(fd_, &status) != 0) return fail(Code::kInternal, "reading a served file: {}", std::strerror(errno));
    const auto now = identity_of(status);
    if (now.modified_ns != identity_.modified_ns || now.size != identity_.size) {
        return fail(Code::kDataLoss, "a served file was written to while it was sent");
    }
    return done;
}

}  // namespace nett::metadata
