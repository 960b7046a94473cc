#include "agent/fabric/tracker.hpp"

#include <gtest/gtest.h>

#include "agent/fabric/backoff.hpp"

namespace nett {
namespace {

using std::chrono::seconds;

PortRoute route(const std::string& interface, const std::string& prefix, const std::string& next_hop = "fe80::1") {
    return {interface, Prefix6::parse(prefix).value(), parse_address6(next_hop).value()};
}

class Tracker : public testing::Test {
protected:
    bool observe(const std::vector<PortRoute>& routes) { return tracker_.observe(clock_.steady_now(), routes); }
    bool after(seconds time) {
        clock_.advance(time);
        return tracker_.advance(clock_.steady_now());
    }

    ManualClock clock_;
    PrefixTracker tracker_{seconds(5)};
    const PortRoute one_ = route("swp7", "2001:db8:c0de::1/128");
};

TEST_F(Tracker, APrefixCountsAfterTheStableTime) {
    EXPECT_FALSE(observe({one_}));
    EXPECT_TRUE(tracker_.stable().empty());
    EXPECT_EQ(tracker_.next_deadline(), clock_.steady_now() + seconds(5));
    EXPECT_FALSE(after(seconds(4)));
    EXPECT_TRUE(after(seconds(1)));
    EXPECT_EQ(tracker_.stable(), std::vector{one_});
    EXPECT_EQ(tracker_.next_deadline(), std::nullopt);
}

TEST_F(Tracker, AFlapStartsTheTimeAnew) {
    observe({one_});
    after(seconds(4));
    observe({});
    observe({one_});
    EXPECT_FALSE(after(seconds(4)));
    EXPECT_TRUE(after(seconds(1)));
}

TEST_F(Tracker, AStablePrefixOutlivesAShortBreak) {
    observe({one_});
    after(seconds(5));
    EXPECT_FALSE(observe({}));
    EXPECT_FALSE(after(seconds(4)));
    EXPECT_FALSE(observe({one_}));
    EXPECT_FALSE(after(seconds(60)));
    EXPECT_EQ(tracker_.stable(), std::vector{one_});
}

TEST_F(Tracker, APrefixThatIsGoneForTheStableTimeIsGone) {
    observe({one_});
    after(seconds(5));
    observe({});
    after(seconds(4));
    observe({});  // still gone: the time goes on
    EXPECT_TRUE(after(seconds(1)));
    EXPECT_TRUE(tracker_.stable().empty());
    EXPECT_EQ(tracker_.next_deadline(), std::nullopt);
}

TEST_F(Tracker, ANewNextHopIsToldAtOnceAndIsNoBreak) {
    observe({one_});
    after(seconds(5));
    const auto moved = route("swp7", "2001:db8:c0de::1/128", "fe80::2");
    EXPECT_TRUE(observe({moved}));
    EXPECT_EQ(tracker_.stable(), std::vector{moved});
}

TEST_F(Tracker, EachPortOfAMultipathRouteCountsForItself) {
    const auto two = route("swp8", "2001:db8:c0de::1/128", "fe80::2");
    observe({one_, two});
    after(seconds(5));
    EXPECT_EQ(tracker_.stable(), (std::vector{one_, two}));
    observe({two});
    EXPECT_TRUE(after(seconds(5)));
    EXPECT_EQ(tracker_.stable(), std::vector{two});
}

TEST_F(Tracker, WithoutStableTimeEverythingCountsAtOnce) {
    tracker_.set_stable_time(seconds(0));
    EXPECT_TRUE(observe({one_}));
    EXPECT_TRUE(observe({}));
    EXPECT_TRUE(tracker_.stable().empty());
}

TEST(MachineRoutes, TheDefaultRouteAndWhatIsNoHostsPrefixAreLeftOut) {
    const auto good = route("swp1", "2001:db8:c0de::/64");
    EXPECT_EQ(machine_routes({route("swp1", "::/0"), route("swp1", "fe80::/64"), route("swp1", "ff00::/8"), good}),
              std::vector{good});
}

TEST(MachineRoutes, AMachineThatLeaksATableTakesNoMoreThanItsShare) {
    std::vector<PortRoute> routes;
    for (int i = 0; i < 10'000; ++i) routes.push_back(route("swp1", fmt::format("2001:db8:{:x}::/48", i)));
    routes.push_back(route("swp2", "2001:db8:c0de::/64"));
    const auto kept = machine_routes(routes);
    EXPECT_EQ(kept.size(), kMaxPrefixesPerPort + 1);
    EXPECT_EQ(kept.back().interface, "swp2");
}

TEST(Backoff, DoublesToItsLongestWithJitter) {
    Backoff low;
    Backoff high;
    EXPECT_EQ(low.next(0), Backoff::kFirst / 2);
    EXPECT_EQ(high.next(1), Backoff::kFirst);
    for (int i = 0; i < 20; ++i) high.next(0.5);
    EXPECT_EQ(high.next(1), Backoff::kLongest);
    high.reset();
    EXPECT_EQ(high.next(1), Backoff::kFirst);
}

}  // namespace
}  // namespace nett
