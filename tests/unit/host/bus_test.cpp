#include <gtest/gtest.h>

#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"

namespace nett {
namespace {

class Bus : public testing::Test {
protected:
    asio::io_context loop;
    ManualClock clock;
    LoopEventBus events{loop.get_executor(), clock};
    LoopHealthRegistry health{loop.get_executor(), clock, events};

    void run() {
        loop.restart();
        loop.run();
    }
    HealthCondition condition(HealthState state) {
        return {"metadata", "listener", HealthScope::kLocal, state, "m", "r", {}};
    }
};

TEST_F(Bus, DeliversInOrderToTheFamilyThatWasAskedFor) {
    std::vector<std::string> seen;
    const auto subscription = events.subscribe("machine.", [&](const Event& e) { seen.push_back(e.subject); });
    events.publish({"machine.state", "a", "", {}});
    events.publish({"ra.drift", "b", "", {}});
    events.publish({"machine.boot", "c", "", {}});
    EXPECT_TRUE(seen.empty());
    run();
    EXPECT_EQ(seen, (std::vector<std::string>{"a", "c"}));
    EXPECT_EQ(events.history().size(), 3U);
    EXPECT_EQ(events.history().back().sequence, 3U);
}

TEST_F(Bus, ASubscriberMayEndItsOwnSubscriptionAndPublish) {
    int calls = 0;
    Subscription subscription;
    subscription = events.subscribe("", [&](const Event&) {
        ++calls;
        subscription.reset();
        events.publish({"x.y", "", "", {}});
    });
    events.publish({"a.b", "", "", {}});
    run();
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(events.history().size(), 2U);
}

TEST_F(Bus, HistoryIsBounded) {
    for (std::size_t i = 0; i < kEventHistory + 10; ++i) events.publish({"a.b", std::to_string(i), "", {}});
    run();
    EXPECT_EQ(events.history().size(), kEventHistory);
    EXPECT_EQ(events.history().front().subject, "10");
}

TEST_F(Bus, HealthTellsObserversOnlyOfChangedStates) {
    std::vector<HealthState> seen;
    const auto subscription = health.observe([&](const HealthCondition& c) { seen.push_back(c.state); });
    for (const auto state :
         {HealthState::kOk, HealthState::kOk, HealthState::kFailed, HealthState::kFailed, HealthState::kOk}) {
        health.report(condition(state));
    }
    run();
    EXPECT_EQ(seen, (std::vector{HealthState::kOk, HealthState::kFailed, HealthState::kOk}));
    // Being fine from the start is no news; the failure and the recovery are.
    EXPECT_EQ(events.history().size(), 2U);
}

TEST_F(Bus, HealthRemembersSinceWhen) {
    health.report(condition(HealthState::kFailed));
    run();
    const auto since = health.conditions()[0].since;
    clock.advance(std::chrono::seconds(5));
    health.report(condition(HealthState::kFailed));
    run();
    EXPECT_EQ(health.conditions()[0].since, since);
    EXPECT_EQ(worst_state(health.conditions()), HealthState::kFailed);
    health.forget("metadata");
    run();
    EXPECT_EQ(worst_state(health.conditions()), HealthState::kOk);
}

}  // namespace
}  // namespace nett
