// One attempt to bring one file from one peer: what is here of it stays, what is missing is asked for.
#pragma once

#include <memory>
#include <string>

#include "agent/core/inventory/artifact_files.hpp"
#include "agent/core/inventory/artifact_transfer.hpp"
#include "agent/replication/arriving_copy.hpp"
#include "agent/sdk/metrics.hpp"
#include "agent/sdk/model.hpp"

namespace nett::replication {

// Left free on the disk: the state file has to grow too.
inline constexpr std::uint64_t kRoomLeft = 64ULL << 20U;

// What an attempt uses. Everything outlives it.
struct FetchTools {
    const ArtifactFiles& files;
    ArtifactDownloader& downloader;
    asio::any_io_executor disk;  // may block
    Counter& fetched_bytes;
};

struct FetchResult {
    enum class Kind {
        kDone,
        kHere,     // this server is in the way: disk, or an upload of the same file
        kAbsent,   // the peer does not have it: its record was a moment old
        kPeer,     // the peer did not send it
        kContent,  // what came does not have its digest, and is dropped
    };
    Kind kind = Kind::kDone;
    std::string reason = {};
    std::uint64_t resumed_at = 0;  // bytes that were here already
};

// kDone: the file is durable under its digest, and `copy` is complete. Otherwise what came is kept for the next attempt
// (but for kContent). On the loop; `tools.disk` writes.
Awaitable<FetchResult> fetch_from(FetchTools tools, ArtifactFile file, std::string endpoint,
                                  std::shared_ptr<ArrivingCopy> copy);

}  // namespace nett::replication
