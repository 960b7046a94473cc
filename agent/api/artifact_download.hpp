// Artifacts.Download: a stored file for another server, at that server's pace.
#pragma once

#include <atomic>

#include <grpcpp/grpcpp.h>
#include <boost/asio/thread_pool.hpp>

#include "agent/api/call.hpp"
#include "agent/core/inventory/verified_files.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// Of a file at once, in memory: with as many downloads as may run, a few MiB in all.
inline constexpr std::size_t kDownloadChunk = 256U << 10U;
// More than the servers of a fabric want together; one more is told to come again.
inline constexpr int kMaxDownloads = 16;
// Reading is quick, but the hash before the first byte of a large file takes seconds.
inline constexpr std::size_t kDownloadThreads = 2;

// Must go after the gRPC server has been shut down.
class ArtifactDownloads {
public:
    explicit ArtifactDownloads(const ArtifactFiles& files) : files_(files) {}

    // Ends with NOT_FOUND, DATA_LOSS (damaged), RESOURCE_EXHAUSTED (too many at once).
    grpc::ServerWriteReactor<v1::DownloadChunk>* start(const ApiContext& api, grpc::CallbackServerContext* context,
                                                       const v1::DownloadRequest& request);

private:
    class Call;
    VerifiedFiles files_;
    std::atomic<int> running_{0};
    asio::thread_pool disk_{kDownloadThreads};
};

}  // namespace nett
