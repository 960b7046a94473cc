// Calls that answer with an archive: made on a thread of its own, at the pace of its reader.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include <grpcpp/grpcpp.h>
#include <boost/asio/thread_pool.hpp>

#include "agent/api/call.hpp"
#include "agent/core/backup/archive.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// Blocks; gives the archive's bytes to the sink.
using ArchiveWork = std::function<Result<void>(ByteSink)>;

// One archive at a time. Must go after the gRPC server has been shut down.
class ArchiveMaker {
public:
    // Ends the call with RESOURCE_EXHAUSTED when another archive is being made. `prepare` runs on the loop.
    grpc::ServerWriteReactor<v1::BackupChunk>* start(const ApiContext& api,
                                                     std::function<Awaitable<Result<ArchiveWork>>()> prepare);

private:
    class Call;
    std::atomic<bool> busy_{false};
    asio::thread_pool worker_{1};
};

}  // namespace nett
