// Files of artifact sets that this server lacks and another server of the same state has: they are served while they
// come over. docs/replication.md, "Artifacts".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// A file on its way to this server. Its last bytes are withheld until it has its digest, so nobody is given a whole
// wrong one. Thread-safe; kept alive by whoever waits.
class ArrivingFile {
public:
    virtual ~ArrivingFile() = default;
    // Up to `length` bytes at `offset`, of those that are here; 0 only at the file's end. kUnavailable: there are none
    // yet, wait(). Other errors: there will be none.
    virtual Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t length) const = 0;
    // Ends, on the caller's executor, when there is something at `offset`. An error: there will not be.
    virtual Awaitable<Result<void>> wait(std::uint64_t offset) = 0;
};

// Thread-safe.
class ArtifactPeers {
public:
    virtual ~ArtifactPeers() = default;
    // Whether another server that is alive says that it has the file with this digest.
    virtual bool have(const std::string& sha256) const = 0;
    // The file, fetched from now on and before others; what is here under its digest is replaced. nullptr: nobody has
    // it.
    virtual std::shared_ptr<ArrivingFile> fetch(const std::string& sha256, std::uint64_t size) = 0;
    // Ends every wait(): what it serves stops. Later ones may begin.
    virtual void interrupt() = 0;
};

}  // namespace nett
