#include "builder/file.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nett::builder {
namespace {

Error error_of(int number, std::string_view path) {
    Error error{Code::kInternal, std::strerror(number), std::string(path)};
    if (number == EACCES || number == EPERM || number == EROFS) error.code = Code::kPermissionDenied;
    if (number == ENOENT || number == ENOTDIR) error.code = Code::kNotFound;
    if (number == ENOSPC || number == EDQUOT) {
        error.code = Code::kResourceExhausted;
        error.message += ": make room on its file system and run the command again";
    }
    return error;
}

std::string parent_of(const std::string& path) {
    const auto parent = std::filesystem::path(path).parent_path();
    return parent.empty() ? std::string(".") : parent.string();
}

Result<void> write_all(int descriptor, std::string_view bytes, std::string_view path) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail(system_error(path));
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> write_new(const std::string& temporary, const NewFile& file) {
    const Descriptor output(temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (output.get() < 0) return fail(system_error(file.path));
    NETT_TRY(write_all(output.get(), file.bytes, file.path));
    // The umask applies to open(2), so the wanted mode is set here. Late errors of the file system come with fsync.
    if (::fchmod(output.get(), file.mode) != 0 || ::fsync(output.get()) != 0) return fail(system_error(file.path));
    return {};
}

}  // namespace

Descriptor::Descriptor(const std::string& path, int flags)
    : number_(::open(path.c_str(), flags | O_CLOEXEC, kPrivateMode)) {}

Descriptor::~Descriptor() {
    if (number_ >= 0) ::close(number_);
}

Error system_error(std::string_view path) {
    return error_of(errno, path);
}

Result<void> write_files(const std::vector<NewFile>& files) {
    std::vector<WorkFolder> folders;
    for (const NewFile& file : files) {
        auto folder = WorkFolder::beside(file.path);
        if (!folder) return fail(std::move(folder.error()));
        NETT_TRY(write_new(folder->at("file"), file));
        folders.push_back(std::move(*folder));
    }
    for (std::size_t i = 0; i < files.size(); ++i) NETT_TRY(publish_file(folders[i].at("file"), files[i].path));
    return {};
}

Result<void> make_directories(const std::string& path) {
    std::error_code code;
    std::filesystem::create_directories(path, code);
    if (code) return fail(error_of(code.value(), path));
    return {};
}

bool file_exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

Result<void> publish_file(const std::string& temporary, const std::string& path) {
    {
        const Descriptor file(temporary, O_RDONLY);
        if (file.get() < 0 || ::fsync(file.get()) != 0) return fail(system_error(path));
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) {
        return fail(Error{Code::kInvalidArgument,
                          "exists and is not a regular file; write to a file and copy that to a device", path});
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail(system_error(path));
    const Descriptor folder(parent_of(path), O_RDONLY | O_DIRECTORY);
    if (folder.get() >= 0) ::fsync(folder.get());
    return {};
}

Result<WorkFolder> WorkFolder::beside(const std::string& path) {
    std::string name = parent_of(path) + "/.talos-fabric-builder.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return fail(system_error(parent_of(path)));
    return WorkFolder(std::move(name));
}

WorkFolder::WorkFolder(WorkFolder&& other) noexcept : path_(std::move(other.path_)) {
    other.path_.clear();
}

WorkFolder::~WorkFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string WorkFolder::at(std::string_view name) const {
    return path_ + "/" + std::string(name);
}

}  // namespace nett::builder
