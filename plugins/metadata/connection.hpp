// One accepted connection: TLS handshake, requests, orderly end. Only server.cpp and connection.cpp know it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "agent/sdk/asio.hpp"
#include "plugins/metadata/server.hpp"

namespace nett::metadata {

// Everything but the two requests below happens on the connection's strand.
class Connection {
public:
    // `socket` has its strand as executor. Starts at once; holds `server` until it ends.
    static std::shared_ptr<Connection> start(std::shared_ptr<Server> server, boost::asio::ip::tcp::socket socket,
                                             std::uint64_t id, bool shed, Peer peer);
    virtual ~Connection() = default;

    // Any thread: close now if idle, else after the answer under way.
    virtual void finish() = 0;
    // Any thread: close now.
    virtual void cut() = 0;
};

}  // namespace nett::metadata
