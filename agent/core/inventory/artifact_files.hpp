// Artifacts on disk, by content: <directory>/sha256/<64 hex digits>. A file under its final name is whole and durable.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "agent/core/store/posix_file.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

inline constexpr std::uint64_t kMaxArtifactSize = 8ULL << 30U;  // Talos' largest (a metal image) is 4 GiB

struct ImportedArtifact {
    std::string sha256;
    std::uint64_t size = 0;
    bool existed = false;  // the same content was there already
};

// What an interrupted upload has left is kept this long for the next one to go on from.
inline constexpr std::chrono::hours kPartialLifetime{7 * 24};

// One file on its way in, hashed while it is written to a temporary file in the same directory. Dropped unfinished,
// nothing is left, except of one that can be resumed. One thread at a time.
class ArtifactImport {
public:
    ArtifactImport(ArtifactImport&&) noexcept = default;
    ArtifactImport& operator=(ArtifactImport&&) = delete;
    ~ArtifactImport();

    // kResourceExhausted: the disk is full, or the file is larger than kMaxArtifactSize.
    Result<void> append(std::string_view bytes);
    // What is here of it.
    std::uint64_t size() const { return size_; }
    // Open for reading, and good as long as somebody holds it, whatever becomes of the import.
    Result<UniqueFd> reader() const;
    // Makes it durable under its digest. kDataLoss when it is not what was expected; empty and 0: not checked. One that
    // can be resumed is kept when it is too short, and dropped when its digest is wrong.
    Result<ImportedArtifact> finish(const std::string& expected_sha256, std::uint64_t expected_size);

private:
    friend class ArtifactFiles;
    using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

    ArtifactImport(std::string directory, std::string temporary, UniqueFd fd, Digest digest);
    // Reads what an earlier upload has left into the digest.
    Result<void> take_up();

    std::string directory_;
    std::string temporary_;  // empty: moved away or renamed
    UniqueFd fd_;
    Digest digest_;
    std::uint64_t size_ = 0;
    bool resumable_ = false;
};

// Thread-safe: all state is in the file system.
class ArtifactFiles {
public:
    // Makes the directories, and removes what imports of an earlier run left.
    static Result<ArtifactFiles> open(const std::string& directory);

    // An import of the same content as an existing file replaces it, which heals a damaged one.
    Result<ArtifactImport> begin_import() const;
    // An import of the content with this digest (64 hex digits), which goes on behind the `offset` bytes that an
    // earlier one has left. kFailedPrecondition when there are not exactly as many; kAborted when it is under way.
    Result<ArtifactImport> resume_import(const std::string& sha256, std::uint64_t offset) const;
    // 64 lower-case hex digits.
    static bool is_digest(std::string_view text);
    // Bytes of it that an interrupted import has left.
    std::uint64_t received_of(std::string_view sha256) const;
    std::string path_of(std::string_view sha256) const;
    // kNotFound when there is no such file.
    Result<std::uint64_t> size_of(std::string_view sha256) const;
    // Reads the whole file; kDataLoss when its bytes do not have this digest.
    Result<void> verify(const std::string& sha256) const;

private:
    explicit ArtifactFiles(std::string directory) : directory_(std::move(directory)) {}
    std::string directory_;  // with "/sha256"
};

}  // namespace nett
