// The routes through the switch's ports, kept current by rtnetlink's route events.
#pragma once

#include <memory>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/route.hpp"

namespace nett {

// Events come in bursts: one reading serves all of them.
inline constexpr std::chrono::milliseconds kRouteReadPause{100};
// A reading without an event: for what no event tells, such as a next hop object that was replaced.
inline constexpr std::chrono::seconds kRouteResync{30};

// Subscribes to route events, delivered on `loop`. Events only wake: whenever one is about a wanted interface or a
// known route, or some were lost (ENOBUFS), the main table is read anew, without blocking the loop. Events about other
// routes cost their parsing. The result must be destroyed on the loop thread.
Result<std::unique_ptr<PortRoutes>> make_port_routes(asio::any_io_executor loop);

}  // namespace nett
