// A file that is served: open, of a known size, and the same from the first byte to the last.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/sdk/artifact_peers.hpp"
#include "agent/sdk/result.hpp"

namespace nett::metadata {

// What changes when a file's content does, short of a fault of the disk: a write changes mtime and ctime, a rename over
// it the inode. ctime cannot be set back by any program.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// Closed with its last owner. Thread-safe.
class OpenFile {
public:
    // kNotFound when there is none, kDataLoss when it is no regular file of exactly `size` bytes.
    static Result<std::shared_ptr<const OpenFile>> open(const std::string& path, std::uint64_t size);
    // One that comes from another server while it is served.
    static std::shared_ptr<const OpenFile> arriving(std::shared_ptr<ArrivingFile> file);
    ~OpenFile();
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    // Reads up to `length` bytes at `offset`; short only at the end of the file. kDataLoss when the file was written to
    // since it was opened: what was verified then is not what would be read now. kUnavailable: not arrived yet.
    Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t length) const;
    // As it was opened.
    const FileIdentity& identity() const { return identity_; }
    // nullptr: all of it is here.
    ArrivingFile* arriving() const { return arriving_.get(); }

private:
    OpenFile(int fd, FileIdentity identity) : fd_(fd), identity_(identity) {}
    int fd_;
    FileIdentity identity_;
    std::shared_ptr<ArrivingFile> arriving_ = nullptr;
};

}  // namespace nett::metadata
