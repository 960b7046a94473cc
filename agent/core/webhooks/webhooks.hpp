// Webhooks: events are posted to receivers that the configuration names, until each has taken them.
//
// Every receiver has a queue of its own and one request under way, so that its messages arrive in order and a slow one
// delays nobody else. A message counts as taken with a status 2xx (and is given up with 410); everything else is tried
// again with growing delays. What is not delivered within kPersistDelay is kept in the state file, for the next start.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/webhooks/settings.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/command.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/metrics.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

inline constexpr std::string_view kWebhookQueueKind = "webhook-queue";  // "<hostname>/<webhook>"
// Most messages are taken within it and are never written; a crash loses what is younger.
inline constexpr std::chrono::seconds kPersistDelay{1};
// From the connection to the answer. A receiver that works longer on a message than this should queue it itself.
inline constexpr std::chrono::seconds kWebhookTimeout{10};
// Attempts of one message that fail before an operator is told.
inline constexpr unsigned kAttemptsBeforeHealth = 3;

// References outlive the webhooks.
struct WebhooksEnvironment {
    asio::any_io_executor loop;
    const Clock& clock;
    EventBus& events;
    HealthRegistry& health;
    Store& store;
    Metrics& metrics;
    std::string hostname;
};

// Loop thread only.
class Webhooks {
public:
    explicit Webhooks(WebhooksEnvironment environment);
    ~Webhooks();

    // Reads what an earlier run could not deliver, and begins.
    void start(std::vector<WebhookSettings> settings);
    // A receiver that stays keeps its queue; that of one that goes is dropped.
    void apply(std::vector<WebhookSettings> settings);
    // Ends requests and writes what is left. Idempotent.
    Awaitable<void> stop();

    // For `show webhooks`.
    Output show() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

std::vector<OpCommand> webhook_show_commands(const Webhooks& webhooks);

}  // namespace nett
