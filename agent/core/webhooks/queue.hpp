// The messages that a webhook's receiver has not taken yet. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// A night of a receiver's outage in a busy fabric; about half a megabyte.
inline constexpr std::size_t kMaxQueuedMessages = 1000;
// What nobody wanted to hear for so long is not news.
inline constexpr std::chrono::hours kMaxMessageAge{24};
inline constexpr std::chrono::seconds kFirstRetry{1};
inline constexpr std::chrono::minutes kLongestRetry{5};

struct WebhookMessage {
    std::string id;    // the same for all attempts
    std::string body;  // JSON
    SystemTime time{};
    unsigned attempts = 0;
};

// {"type", "timestamp", "data": {"agent", "subject", "message", "fields"}}
std::string webhook_body(const Event& event, std::string_view agent);

// How long to wait after the attempt of this number (1, 2, …): doubling, with jitter; `random` is in [0, 1).
std::chrono::milliseconds retry_delay(unsigned attempts, double random);

class WebhookQueue {
public:
    // Drops the oldest when it is full.
    void push(WebhookMessage message);
    // The message to send now; null: none. What is older than kMaxMessageAge is dropped.
    WebhookMessage* front(SystemTime now);
    void pop() { messages_.pop_front(); }

    std::size_t size() const { return messages_.size(); }
    std::uint64_t dropped() const { return dropped_; }

    std::string encode() const;
    // Puts stored messages in front of those that are there. kDataLoss when the text is not what encode() makes.
    Result<void> restore(std::string_view text);

private:
    std::deque<WebhookMessage> messages_;
    std::uint64_t dropped_ = 0;
};

}  // namespace nett
