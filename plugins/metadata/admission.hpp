// Who may connect: the limits in total and per source network.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

#include "agent/sdk/address.hpp"

namespace nett::metadata {

struct ConnectionLimits {
    int total = 0;
    int per_source = 0;  // per /64; per address where it is an IPv4-mapped one
};

// Thread-safe.
class Admission {
public:
    enum class Verdict {
        kServe,
        kShed,   // take it, and answer 503 with Retry-After
        kClose,  // not even that
    };

    void set_limits(ConnectionLimits limits);
    // Unless the verdict is kClose the connection counts until leave() with the same source.
    Verdict enter(const Address6& source);
    void leave(const Address6& source);
    std::size_t connections() const;
    std::size_t most() const;  // ever at once

private:
    mutable std::mutex mutex_;
    ConnectionLimits limits_;
    std::map<Address6, int> sources_;  // by network address
    std::size_t connections_ = 0;
    std::size_t most_ = 0;
};

}  // namespace nett::metadata
