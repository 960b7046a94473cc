// Files that the builder writes: complete or not at all, never readable by others when a key is inside.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "agent/sdk/result.hpp"

namespace nett::builder {

inline constexpr mode_t kPrivateMode = 0600;
inline constexpr mode_t kPublicMode = 0644;

struct NewFile {
    std::string path;
    std::string bytes;
    mode_t mode = kPrivateMode;
};

// Writes every file beside its final name first and renames them only then: when one cannot be written (disk full, no
// permission) no file has changed.
Result<void> write_files(const std::vector<NewFile>& files);

// Creates `path` (0755) and its missing parents.
Result<void> make_directories(const std::string& path);

bool file_exists(const std::string& path);

// A file descriptor, closed by the destructor. Files are opened with O_CLOEXEC, and made with kPrivateMode.
class Descriptor {
public:
    Descriptor(const std::string& path, int flags);
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor();
    int get() const { return number_; }  // negative: open(2) failed, see errno

private:
    int number_;
};

// errno as an Error about `path`, with the remedy where there is one.
Error system_error(std::string_view path);

// Renames a finished file over its final name and makes the change durable. Both are on one file system.
Result<void> publish_file(const std::string& temporary, const std::string& path);

// A folder (0700) beside a file to be made, removed with everything in it by the destructor.
class WorkFolder {
public:
    // Beside `path`, so that the finished file can be renamed over it.
    static Result<WorkFolder> beside(const std::string& path);

    WorkFolder(WorkFolder&& other) noexcept;
    WorkFolder& operator=(WorkFolder&&) = delete;
    ~WorkFolder();

    // A name inside.
    std::string at(std::string_view name) const;

private:
    explicit WorkFolder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

}  // namespace nett::builder
