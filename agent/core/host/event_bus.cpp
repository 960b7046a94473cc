#include "agent/core/host/event_bus.hpp"

#include <boost/asio/post.hpp>

namespace nett {

LoopEventBus::LoopEventBus(asio::any_io_executor loop, const Clock& clock) : loop_(std::move(loop)), clock_(clock) {}

void LoopEventBus::publish(Event event) {
    event.time = clock_.system_now();
    {
        const std::lock_guard lock(mutex_);
        event.sequence = ++sequence_;
        queue_.push_back(std::move(event));
        if (queue_.size() > 1) return;  // a delivery is already on its way
    }
    asio::post(loop_, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) deliver_queued();
    });
}

void LoopEventBus::deliver_queued() {
    std::deque<Event> batch;
    {
        const std::lock_guard lock(mutex_);
        batch.swap(queue_);
    }
    for (auto& event : batch) {
        deliver(event);
        history_.push_back(std::move(event));
        if (history_.size() > kEventHistory) history_.pop_front();
    }
}

void LoopEventBus::deliver(const Event& event) {
    const auto subscribers = subscribers_;
    for (auto& subscriber : *subscribers) {
        if (subscriber.active && event.type.starts_with(subscriber.type_prefix)) subscriber.handler(event);
    }
    // Erased only here: a handler may end its own or another's subscription while the list is walked.
    subscribers->remove_if([](const Subscriber& s) { return !s.active; });
}

Subscription LoopEventBus::subscribe(std::string type_prefix, Handler handler) {
    auto& subscriber = subscribers_->emplace_back(Subscriber{std::move(type_prefix), std::move(handler)});
    return Subscription([&subscriber, list = std::weak_ptr(subscribers_)] {
        if (!list.expired()) subscriber.active = false;
    });
}

}  // namespace nett
