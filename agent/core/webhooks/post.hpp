// One HTTPS request to a webhook's receiver.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/webhooks/settings.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// From the look-up to the answer's head, each step.
inline constexpr std::chrono::seconds kWebhookTimeout{10};

struct WebhookRequest {
    WebhookUrl url;
    std::string ca_file;  // empty: the system's roots
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

// One request at a time. Loop thread only.
class WebhookClient {
public:
    virtual ~WebhookClient() = default;
    // The answer's status. kUnavailable, kDeadlineExceeded: no answer; kPermissionDenied: its certificate is refused.
    virtual Awaitable<Result<unsigned>> post(WebhookRequest request) = 0;
    // Ends the request under way.
    virtual void abort() = 0;
};

std::unique_ptr<WebhookClient> make_webhook_client(asio::any_io_executor loop);

}  // namespace nett
