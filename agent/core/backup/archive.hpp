// Tar archives by libarchive, written into a function and read from a file.
//
// POSIX (pax) format, because artifacts may be larger than ustar's 8 GiB. Any tar reads them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

struct archive;

namespace nett {

// Takes the archive's next bytes; an error ends the writing and comes back from the function that wrote.
using ByteSink = std::function<Result<void>(std::string_view)>;

struct ArchiveMember {
    std::string name;
    std::uint64_t size = 0;
    unsigned mode = 0600;
};

enum class Compression { kNone, kGzip };

// One thread at a time.
class ArchiveWriter {
public:
    // Members have `time`.
    static Result<std::unique_ptr<ArchiveWriter>> make(ByteSink sink, Compression compression, SystemTime time);
    ~ArchiveWriter();
    ArchiveWriter(const ArchiveWriter&) = delete;
    ArchiveWriter& operator=(const ArchiveWriter&) = delete;

    // A whole member.
    Result<void> add(std::string name, unsigned mode, std::string_view bytes);
    // A member in parts, which must add up to its size before the next one begins.
    Result<void> begin(const ArchiveMember& member);
    Result<void> append(std::string_view bytes);
    // The end mark; nothing may follow.
    Result<void> finish();

private:
    ArchiveWriter(ByteSink sink, SystemTime time) : sink_(std::move(sink)), time_(time) {}
    static ssize_t write(struct archive* archive, void* self, const void* bytes, std::size_t size);
    Result<void> check(ssize_t status, const char* what);

    ByteSink sink_;
    SystemTime time_;
    std::optional<Error> sink_error_;
    std::uint64_t missing_ = 0;  // bytes of the member that is being written
    struct archive* archive_ = nullptr;
};

// One thread at a time.
class ArchiveReader {
public:
    // kNotFound, kPermissionDenied, or kDataLoss when it is no archive.
    static Result<std::unique_ptr<ArchiveReader>> open(const std::string& path);
    ~ArchiveReader();
    ArchiveReader(const ArchiveReader&) = delete;
    ArchiveReader& operator=(const ArchiveReader&) = delete;

    // The next member; nothing at the end. kDataLoss for a damaged or cut-off archive, and for what is no regular file.
    Result<std::optional<ArchiveMember>> next();
    // The member's next bytes, which are valid until the next call; empty at its end.
    Result<std::string_view> read();
    // The member's bytes at once; kDataLoss when there are more than `limit`.
    Result<std::string> read_all(std::size_t limit);

private:
    explicit ArchiveReader(std::string path) : path_(std::move(path)) {}
    tl::unexpected<Error> damaged() const;

    std::string path_;
    struct archive* archive_ = nullptr;
    std::string buffer_;
};

}  // namespace nett
