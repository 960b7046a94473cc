// GET requests to NetBox over TLS. Beast stays in the .cpp file.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/netbox.hpp"

namespace nett::metadata {

struct NetboxAnswer {
    unsigned status = 0;
    std::string body;  // at most kNetboxMaxBody
    std::optional<std::chrono::seconds> retry_after;
};

// One exchange on a connection of its own: some tens of them every few minutes. The server's certificate must chain to
// the CA file and carry the origin's name or address. Redirects are not followed, so that the token goes nowhere else.
// kUnavailable: not reached. kPermissionDenied: its certificate is not good. kDeadlineExceeded: it took longer than
// kNetboxTimeout in all. kResourceExhausted: a larger body. kDataLoss: not HTTP. Resolves names by getaddrinfo, IPv6
// only.
class NetboxClient {
public:
    virtual ~NetboxClient() = default;
    virtual Awaitable<Result<NetboxAnswer>> get(NetboxSettings settings, std::string target,
                                                std::string authorization) = 0;
    // Ends what is under way with kUnavailable. Loop thread.
    virtual void abort() = 0;
};
std::unique_ptr<NetboxClient> make_netbox_client(asio::any_io_executor loop);

}  // namespace nett::metadata
