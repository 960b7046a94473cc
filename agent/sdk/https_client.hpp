// One question to a server over HTTPS, for what is asked seldom: a webhook's receiver, a page of NetBox. Each exchange
// has a connection of its own, over IPv6. (A BMC is asked a hundred things in a row and may have a pinned certificate:
// plugins/redfish has a client for that.)
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/https_url.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

struct HttpsRequest {
    enum class Method { kGet, kPost };

    HttpsUrl url;
    std::string ca_file;     // PEM bundle that the server's certificate must chain to; empty: the system's roots
    std::string ca_setting;  // the command that names it, for the remedy: "netbox ca"
    Method method = Method::kGet;
    std::vector<std::pair<std::string, std::string>> headers;  // besides Host, Accept, User-Agent and Connection
    std::string body;                                          // JSON text; of a POST
    std::chrono::seconds timeout{10};                          // from the connection's start to the answer's end
    std::size_t max_answer = 0;  // bytes of its body; 0: only the status is of interest, the body is not read
};

struct HttpsAnswer {
    unsigned status = 0;
    std::string body;                                 // at most max_answer
    std::optional<std::chrono::seconds> retry_after;  // at most kMaxRetryAfter; a date there counts as none
};

inline constexpr std::size_t kMaxHttpsHead = 16 * 1024;  // of an answer; servers behind proxies send some 2 KiB
inline constexpr std::chrono::hours kMaxRetryAfter{24};  // who asks for more is not asked less often for it

// One exchange at a time. Loop thread only.
class HttpsClient {
public:
    virtual ~HttpsClient() = default;
    // The answer, whatever its status. Redirects are not followed, so that a token or a signature goes nowhere else.
    // Errors name the server and what to look at. kFailedPrecondition: the CA file. kUnavailable: not reached, or cut
    // off. kPermissionDenied: its certificate does not chain to the CA or carries another name; nothing was sent.
    // kDeadlineExceeded: `timeout`. kResourceExhausted: the answer is larger than allowed. kDataLoss: not HTTP.
    // The look-up is getaddrinfo's and has its time limits (resolv.conf(5)).
    virtual Awaitable<Result<HttpsAnswer>> send(HttpsRequest request) = 0;
    // Ends what is under way with kUnavailable.
    virtual void abort() = 0;
};
std::unique_ptr<HttpsClient> make_https_client(asio::any_io_executor loop);

}  // namespace nett
