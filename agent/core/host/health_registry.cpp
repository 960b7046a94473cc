#include "agent/core/host/health_registry.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/asio/post.hpp>

namespace nett {

HealthState worst_state(const std::vector<HealthCondition>& conditions) {
    HealthState worst = HealthState::kOk;
    for (const auto& condition : conditions) worst = std::max(worst, condition.state);
    return worst;
}

LoopHealthRegistry::LoopHealthRegistry(asio::any_io_executor loop, const Clock& clock, EventBus& events)
    : loop_(std::move(loop)), clock_(clock), events_(events) {}

void LoopHealthRegistry::post(std::function<void()> work) {
    asio::post(loop_, [work = std::move(work), alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) work();
    });
}

void LoopHealthRegistry::report(HealthCondition condition) {
    post([this, condition = std::move(condition)] { set(condition); });
}

void LoopHealthRegistry::set(HealthCondition condition) {
    const auto key = std::pair(condition.component, condition.name);
    const auto before = conditions_.find(key);
    const bool changed = before == conditions_.end() || before->second.state != condition.state;
    // A condition that is fine from the start is no news.
    const bool news = before != conditions_.end() || condition.state != HealthState::kOk;
    condition.since = changed ? clock_.system_now() : before->second.since;
    conditions_[key] = condition;
    if (!changed) return;
    if (news) {
        events_.publish(
            {"health.changed",
             condition.component + "/" + condition.name,
             fmt::format("{}: {}", to_string(condition.state), condition.message),
             {{"state", std::string(to_string(condition.state))}, {"scope", std::string(to_string(condition.scope))}}});
    }
    const auto observers = observers_;
    for (auto& observer : *observers) {
        if (observer.active) observer.call(condition);
    }
    observers->remove_if([](const Observer& o) { return !o.active; });
}

void LoopHealthRegistry::forget(std::string component) {
    post([this, component = std::move(component)] {
        std::erase_if(conditions_, [&](const auto& item) { return item.first.first == component; });
    });
}

std::vector<HealthCondition> LoopHealthRegistry::conditions() const {
    std::vector<HealthCondition> all;
    for (const auto& [key, condition] : conditions_) all.push_back(condition);
    return all;
}

Subscription LoopHealthRegistry::observe(std::function<void(const HealthCondition&)> observer) {
    auto& added = observers_->emplace_back(Observer{std::move(observer)});
    return Subscription([&added, list = std::weak_ptr(observers_)] {
        if (!list.expired()) added.active = false;
    });
}

}  // namespace nett
