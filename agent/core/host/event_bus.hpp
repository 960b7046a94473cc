// The event bus: publish from any thread, deliver in order on the loop thread, keep the last kEventHistory for `show
// events`.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <mutex>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/event.hpp"

namespace nett {

// Enough to see what led to an incident on a busy gateway; about 1 MiB.
inline constexpr std::size_t kEventHistory = 2000;

class LoopEventBus final : public EventBus {
public:
    LoopEventBus(asio::any_io_executor loop, const Clock& clock);

    void publish(Event event) override;
    [[nodiscard]] Subscription subscribe(std::string type_prefix, Handler handler) override;

    // Oldest first; loop thread only.
    const std::deque<Event>& history() const { return history_; }

private:
    struct Subscriber {
        std::string type_prefix;
        Handler handler;
        bool active = true;
    };

    void deliver_queued();
    void deliver(const Event& event);

    asio::any_io_executor loop_;
    const Clock& clock_;
    std::mutex mutex_;
    std::deque<Event> queue_;     // guarded by mutex_
    std::uint64_t sequence_ = 0;  // guarded by mutex_
    std::deque<Event> history_;   // loop thread
    std::shared_ptr<std::list<Subscriber>> subscribers_ = std::make_shared<std::list<Subscriber>>();  // loop thread
    // Handlers posted to the loop outlive nothing: they hold this and find it expired after the bus is gone.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nett
