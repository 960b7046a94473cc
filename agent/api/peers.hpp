// Who is at the other end of a Unix socket connection.
//
// gRPC has no peer credentials, so nettd accepts connections itself, reads SO_PEERCRED, and hands the descriptor over.
// gRPC then names the peer of a call "fd:N", by which the actor is found again.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett {

// Thread-safe. A descriptor number is reused after its connection ended; the newest connection's name counts. That may
// mislabel a call that is still running for a client that is gone, and gives nobody a right: the socket's file mode
// admits, the name is for the audit log.
class PeerNames {
public:
    // Reads the peer of a connected Unix socket and remembers it as "unix:<user>", or "unix:uid-<N>" for an unknown
    // uid.
    Result<void> remember(int fd);
    // "unix:root" for "fd:12"; "unix" when the peer is not known.
    std::string actor_of(std::string_view grpc_peer) const;

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string, std::less<>> actors_;
};

}  // namespace nett
