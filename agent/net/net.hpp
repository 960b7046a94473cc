// The kernel adapter: makes the Net that plugins see (agent/sdk/net.hpp) from rtnetlink sockets.
#pragma once

#include <cstdint>
#include <memory>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/net.hpp"

namespace nett {

// Routing metric of blackhole routes. Zebra reads a kernel route's metric as distance << 24 | metric: the distance
// stays 0, and the value is one that no routing daemon uses, so that "ip -6 route" shows whose route it is.
inline constexpr std::uint32_t kAggregateMetric = 4242;

// Opens the sockets and subscribes to link events, delivered on `loop`. The result must be destroyed on the loop
// thread.
Result<std::unique_ptr<Net>> make_net(asio::any_io_executor loop);

}  // namespace nett
