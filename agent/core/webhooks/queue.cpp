#include "agent/core/webhooks/queue.hpp"

#include <algorithm>
#include <iterator>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"

namespace nett {

namespace json = boost::json;

std::string webhook_body(const Event& event, std::string_view agent) {
    json::object fields;
    for (const auto& [key, value] : event.fields) fields[key] = value;
    return json::serialize(json::object{
        {"type", event.type},
        {"timestamp", to_rfc3339(event.time)},
        {"data",
         {{"agent", agent}, {"subject", event.subject}, {"message", event.message}, {"fields", std::move(fields)}}}});
}

std::chrono::milliseconds retry_delay(unsigned attempts, double random) {
    constexpr unsigned kMostDoublings = 16;  // beyond it the longest delay holds anyway
    const auto doubled = kFirstRetry * (1U << std::min(attempts == 0 ? 0 : attempts - 1, kMostDoublings));
    const auto whole = std::min<std::chrono::milliseconds>(doubled, kLongestRetry);
    return std::chrono::milliseconds(
        static_cast<std::int64_t>(static_cast<double>(whole.count()) * (0.5 + random / 2)));
}

void WebhookQueue::push(WebhookMessage message) {
    messages_.push_back(std::move(message));
    if (messages_.size() <= kMaxQueuedMessages) return;
    messages_.pop_front();
    ++dropped_;
}

WebhookMessage* WebhookQueue::front(SystemTime now) {
    while (!messages_.empty() && now - messages_.front().time > kMaxMessageAge) {
        messages_.pop_front();
        ++dropped_;
    }
    return messages_.empty() ? nullptr : &messages_.front();
}

std::string WebhookQueue::encode() const {
    json::array messages;
    for (const auto& one : messages_) {
        messages.push_back(
            {{"id", one.id}, {"body", one.body}, {"time", to_rfc3339(one.time)}, {"attempts", one.attempts}});
    }
    return json::serialize(json::object{{"messages", std::move(messages)}});
}

Result<void> WebhookQueue::restore(std::string_view text) {
    std::deque<WebhookMessage> stored;
    try {
        const auto value = json::parse(text);
        for (const auto& one : value.at("messages").as_array()) {
            auto time = parse_rfc3339(std::string(one.at("time").as_string()));
            if (!time) return fail(std::move(time.error()));
            stored.push_back({std::string(one.at("id").as_string()), std::string(one.at("body").as_string()), *time,
                              one.at("attempts").to_number<unsigned>()});
        }
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "stored messages cannot be read: {}", error.what());
    }
    std::move(messages_.begin(), messages_.end(), std::back_inserter(stored));
    messages_.clear();
    for (auto& one : stored) push(std::move(one));
    return {};
}

}  // namespace nett
