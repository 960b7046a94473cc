// The files of artifact sets, as this host has them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/artifact_peers.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"
#include "agent/sdk/task_group.hpp"
#include "plugins/metadata/artifact_table.hpp"
#include "plugins/metadata/file_verifier.hpp"
#include "plugins/metadata/shared_value.hpp"

namespace nett::metadata {

// Follows the sets in the store, and sees to it that no file goes out that does not have its digest: hashed at its
// first use, after every change of the file, and in the background at kRehashBytesPerSecond. A damaged file is an event
// ("artifact.corrupt", "artifact.restored" {sha256, files, reason}) and a line of missing().
class Artifacts {
public:
    Artifacts(Store& store, EventBus& events, asio::any_io_executor loop, asio::any_io_executor io,
              std::string directory, ArtifactPeers* peers = nullptr);

    // Loop thread. Reads the sets, and begins to verify their files on `io`.
    Result<void> start();
    // Loop thread. Hashing under way ends with an error.
    Awaitable<void> stop();

    // What follows: any thread.

    std::shared_ptr<const ArtifactTable> table() const { return table_.load(); }
    // kNotFound without such a set.
    Result<std::shared_ptr<const ArtifactSet>> set(const std::string& name) const;
    // The file, verified; one that is not here or is damaged comes from another server, if one has it. kDataLoss when
    // it should be here and is not, or not with its digest.
    Awaitable<FileVerifier::OpenResult> open(ArtifactFile file);
    // Verifies kernel and initramfs where that is to be done; errors are those of check_bootable().
    Awaitable<Result<void>> prepare(std::shared_ptr<const ArtifactSet> set);
    // That kernel and initramfs are here and verified, or come from another server: kDataLoss when not, kUnavailable
    // when prepare() comes first.
    Result<void> check_bootable(const ArtifactSet& set) const;
    // What is missing or damaged of all sets, for the health registry: "set/file: reason".
    struct Missing {
        std::vector<std::string> lost;      // nobody has it
        std::vector<std::string> arriving;  // another server has it
    };
    Missing missing() const;
    // How often a file was found damaged, or whole again: answers made before the last time may be wrong.
    std::uint64_t verdicts() const { return verdicts_.load(std::memory_order_acquire); }

private:
    Result<void> rebuild();
    Awaitable<void> patrol();
    Awaitable<void> check(ArtifactFile file, bool again);
    // Whether a file that cannot be served from here can be from another server.
    bool comes_from_peer(const std::string& sha256, const Error& why) const;
    void report(const std::string& sha256, bool damaged, const std::string& reason);
    // Replaces a damaged file by another server's copy.
    void fetch_anew(const std::string& sha256);
    std::string names_of(const std::string& sha256) const;

    Store& store_;
    EventBus& events_;
    asio::any_io_executor io_;
    ArtifactPeers* const peers_;  // nullptr: there are no other servers
    Logger log_{"metadata"};
    FileVerifier verifier_;
    SharedValue<ArtifactTable> table_{std::make_shared<const ArtifactTable>(std::vector<ArtifactSet>{})};
    std::atomic<std::uint64_t> verdicts_{0};
    TaskGroup tasks_;
    asio::steady_timer signal_;
    Subscription watch_;
    Subscription fetched_;             // one has come from another server: to be hashed
    bool stopping_ = false;            // loop thread
    std::atomic<bool> closed_{false};  // nobody begins to wait for another server
};

}  // namespace nett::metadata
