// What a connection calls for each request.
#pragma once

#include <functional>

#include "agent/sdk/asio.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

using RequestHandler = std::function<Awaitable<Response>(Request, const Peer&, Conversation&)>;

}  // namespace nett::metadata
