// Serves no file that does not have its digest: which files were hashed, as what they were then, and with what result.
//
// A file is hashed at its first use after a start, and again whenever its inode, size, mtime or ctime is another than
// then: a write or a replacement costs one hash, every other request an fstat. What a disk changes without telling is
// found by verify(), which an owner calls for each file at a bounded rate.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/open_file.hpp"

namespace nett::metadata {

// Thread-safe. Hashing runs on the caller's executor in slices of kHashSliceBytes, between which others run; requests
// for one file share one hash.
class FileVerifier {
public:
    using OpenResult = Result<std::shared_ptr<const OpenFile>>;
    // Told of each change to damaged (true) or back, with the digest and the reason. On the caller's executor.
    using Report = std::function<void(const std::string& sha256, bool damaged, const std::string& reason)>;

    // Files are <directory>/sha256/<digest>.
    FileVerifier(std::string directory, Report report) : directory_(std::move(directory)), report_(std::move(report)) {}

    // The file, open, with the digest as of its identity; hashed first if that is not known. kDataLoss when it is not
    // there, has another size, or has another digest.
    Awaitable<OpenResult> open(std::string sha256, std::uint64_t size);
    // The same without hashing: kUnavailable when it would have to be.
    OpenResult open_known(const std::string& sha256, std::uint64_t size) const;
    // Hashes it whatever is known; until the result is there, what is known holds.
    Awaitable<OpenResult> verify(std::string sha256, std::uint64_t size);
    // What open_known() would say against it: nullopt when it could be served or was not hashed yet.
    std::optional<std::string> trouble(const std::string& sha256, std::uint64_t size) const;
    // Hashing under way ends at its next slice, with kUnavailable.
    void stop() { stopping_ = true; }
    void start() { stopping_ = false; }

private:
    struct Waiter {
        asio::any_io_executor executor;
        asio::any_completion_handler<void()> resume;
    };
    struct Entry {
        FileIdentity identity;
        bool known = false;  // `identity` was hashed
        std::string damage;  // empty: it had its digest
        bool hashing = false;
        std::vector<Waiter> waiting;
    };

    OpenResult open_plain(const std::string& sha256, std::uint64_t size) const;
    Result<void> verdict(const std::string& sha256, const FileIdentity& identity) const;
    // True when the caller is to hash; otherwise it has waited for the one who did.
    Awaitable<bool> begin(const std::string& sha256);
    void finish(const std::string& sha256, const FileIdentity& identity, const Result<std::string>& found);
    Awaitable<OpenResult> judge(const std::string& sha256, std::uint64_t size);
    Awaitable<Result<std::string>> hash(std::shared_ptr<const OpenFile> file) const;

    const std::string directory_;
    const Report report_;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;  // guards what follows
    std::map<std::string, Entry> entries_;
};

}  // namespace nett::metadata
