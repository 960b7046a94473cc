// Artifacts from another server: what the replication asks for, and agent/api does.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// Takes a file's bytes in their order; an error ends the transfer. On a thread that may block, one call at a time.
using ByteTaker = std::function<Result<void>(std::string_view bytes)>;

// A peer that sends nothing for this long is given up.
inline constexpr std::chrono::seconds kTransferStall{10};

// Loop thread only.
class ArtifactDownloader {
public:
    virtual ~ArtifactDownloader() = default;
    // Has `take` given what the server at `endpoint` ("[2001:db8::1]:8443") has of the file, from `offset` to its end.
    // When this ends, no call of `take` is under way and none comes. Errors: that of `take`; kNotFound and kDataLoss:
    // the peer has no such file, or a damaged one; kPermissionDenied; kUnavailable; kDeadlineExceeded: stalled.
    virtual Awaitable<Result<void>> download(std::string endpoint, std::string sha256, std::uint64_t offset,
                                             ByteTaker take) = 0;
    // Ends all of them; later ones fail.
    virtual void stop() = 0;
};

}  // namespace nett
