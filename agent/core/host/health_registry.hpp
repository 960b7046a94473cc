// The health registry behind agent/sdk/health.hpp.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"

namespace nett {

// report() may come from any thread; it takes effect on the loop thread. Changes of state are published as
// health.changed.
class LoopHealthRegistry final : public HealthRegistry {
public:
    LoopHealthRegistry(asio::any_io_executor loop, const Clock& clock, EventBus& events);

    void report(HealthCondition condition) override;
    void forget(std::string component) override;
    std::vector<HealthCondition> conditions() const override;
    [[nodiscard]] Subscription observe(std::function<void(const HealthCondition&)> observer) override;

private:
    struct Observer {
        std::function<void(const HealthCondition&)> call;
        bool active = true;
    };

    void set(HealthCondition condition);
    void post(std::function<void()> work);

    asio::any_io_executor loop_;
    const Clock& clock_;
    EventBus& events_;
    std::map<std::pair<std::string, std::string>, HealthCondition> conditions_;
    std::shared_ptr<std::list<Observer>> observers_ = std::make_shared<std::list<Observer>>();
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The worst state among the conditions; kOk when there is none.
HealthState worst_state(const std::vector<HealthCondition>& conditions);

}  // namespace nett
