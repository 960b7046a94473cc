// A file that appears whole or not at all, readable by its owner alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace nett::cli {

class SavedFile {
public:
    // Begins a temporary file beside `path`. The error names the path and what is wrong.
    static tl::expected<SavedFile, std::string> begin(std::string path);
    SavedFile(SavedFile&& other) noexcept;
    SavedFile& operator=(SavedFile&&) = delete;
    // Unfinished: nothing is left.
    ~SavedFile();

    tl::expected<void, std::string> write(std::string_view bytes);
    // Makes it durable under its name, in the place of a file that is there.
    tl::expected<void, std::string> finish();

    const std::string& path() const { return path_; }
    std::uint64_t size() const { return size_; }

private:
    SavedFile(std::string path, std::string temporary, int fd)
        : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

    std::string path_;
    std::string temporary_;
    int fd_ = -1;
    std::uint64_t size_ = 0;
};

}  // namespace nett::cli
