// Whom a file is fetched from, and when. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/replication/layout.hpp"
#include "agent/sdk/clock.hpp"

namespace nett::replication {

// After the first failure of a peer with a file; doubled by each one more.
inline constexpr std::chrono::seconds kFirstFetchDelay{1};
inline constexpr std::chrono::seconds kLastFetchDelay{30};
// Digests that a server says it lacks, in its record of every second: with more, the number alone has to do.
inline constexpr std::size_t kMissingNamed = 32;
// Of each, as many digits: enough to tell a site's few thousand files apart.
inline constexpr std::size_t kMissingDigits = 16;

// What a server says of the artifacts that it lacks; `digests`: all that the sets name and it has not.
ArtifactState artifact_state(std::string endpoint, const std::vector<std::string>& digests);
// Whether the server can be asked and has not said that it lacks the file. One that lacks more than it named may or may
// not have it.
bool may_have(const ServerState& server, const std::string& sha256);

// The attempts to get one file.
class FetchOrder {
public:
    // The peer to ask now: of those that may have the file and whose delay is over, the one that failed least, then the
    // one that lacks least; of those left another one for each file, so that not all ask the same.
    std::optional<ServerState> choose(const std::vector<ServerState>& peers, const std::string& sha256,
                                      SteadyTime now) const;
    void failed(const std::string& peer, SteadyTime now);
    // The end of the first delay that keeps a peer from being asked; max when none does.
    SteadyTime next(const std::vector<ServerState>& peers, const std::string& sha256) const;
    // Of the peer; 0 when it has not failed.
    int failures(const std::string& peer) const;

private:
    struct Attempts {
        int failures = 0;
        SteadyTime not_before{};
    };
    std::map<std::string, Attempts> attempts_;  // by peer
};

}  // namespace nett::replication
