// One HTTP exchange with a BMC, as values, and the transport that carries it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett::redfish {

enum class Method { kGet, kPost, kPatch, kDelete };
std::string_view to_string(Method method);

struct Request {
    Method method = Method::kGet;
    std::string target;         // absolute path on the BMC's own origin: "/redfish/v1/Systems/1"
    std::string body;           // JSON text; empty: none
    std::string if_match;       // an ETag; empty: none
    std::string token;          // X-Auth-Token; set by the session, never logged
    std::string authorization;  // Basic; set by the session, never logged
};

struct Response {
    unsigned status = 0;
    std::string body;  // at most kMaxBodyBytes
    std::string etag;
    std::string location;      // as sent; check it with resolve_link() before use
    std::string token;         // X-Auth-Token of a new session
    bool wants_basic = false;  // a 401 whose WWW-Authenticate offers Basic
    std::optional<std::chrono::seconds> retry_after;
};

// A VirtualMedia or ComputerSystem is a few KiB, the largest known is about 60 KiB (a ComputerSystem with Oem of
// everything).
inline constexpr std::size_t kMaxBodyBytes = 1U << 20U;
inline constexpr std::size_t kMaxHeaderBytes = 16U << 10U;

// Carries requests to one BMC, one at a time. Loop thread only.
class Transport {
public:
    virtual ~Transport() = default;

    // The answer, whatever its status. Redirects are not followed.
    // kUnavailable, kDeadlineExceeded: may or may not have reached the BMC. kPermissionDenied: the BMC's certificate is
    // not the one expected; nothing was sent. kResourceExhausted: the answer is larger than kMaxBodyBytes. kDataLoss:
    // not HTTP.
    virtual Awaitable<Result<Response>> send(Request request) = 0;
    // Connects if need be. Lower-case hex SHA-256 of the certificate (DER) that the BMC presented; empty with plain
    // http.
    virtual Awaitable<Result<std::string>> fingerprint() = 0;
    // From now on only this certificate is accepted.
    virtual void set_pin(std::string sha256) = 0;
    // Ends what is in flight with kUnavailable and refuses everything from now on.
    virtual void abort() = 0;
};

}  // namespace nett::redfish
