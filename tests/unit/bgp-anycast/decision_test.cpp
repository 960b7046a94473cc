#include "plugins/bgp-anycast/decision.hpp"

#include <gtest/gtest.h>

namespace nett::anycast {
namespace {

using namespace std::chrono_literals;

HealthCondition condition(std::string component, HealthScope scope, HealthState state) {
    return {std::move(component), "listener", scope, state, "a message", "", {}};
}

constexpr auto kLocal = HealthScope::kLocal;
constexpr auto kShared = HealthScope::kShared;
constexpr auto kInfo = HealthScope::kInfo;

TEST(AnycastVerdict, ByConditions) {
    const std::set<std::string> none, metadata{"metadata"};
    struct Row {
        const char* what;
        std::vector<HealthCondition> conditions;
        std::set<std::string> required;
        bool healthy;
    };
    const std::vector<Row> rows{
        {"nothing vouches", {}, none, false},
        {"only information", {condition("frr", kInfo, HealthState::kOk)}, none, false},
        {"information may fail",
         {condition("metadata", kLocal, HealthState::kOk), condition("frr", kInfo, HealthState::kFailed)},
         none,
         true},
        {"a local failure", {condition("metadata", kLocal, HealthState::kFailed)}, none, false},
        {"degraded is better than none", {condition("metadata", kLocal, HealthState::kDegraded)}, none, true},
        {"shared trouble does not withdraw",
         {condition("metadata", kLocal, HealthState::kOk), condition("factory", kShared, HealthState::kFailed)},
         none,
         true},
        {"one of two fails by default",
         {condition("metadata", kLocal, HealthState::kOk), condition("store", kLocal, HealthState::kFailed)},
         none,
         false},
        {"one that is not required fails",
         {condition("metadata", kLocal, HealthState::kOk), condition("store", kLocal, HealthState::kFailed)},
         metadata,
         true},
        {"the required one is silent", {condition("store", kLocal, HealthState::kOk)}, metadata, false},
        {"the required one only informs", {condition("metadata", kInfo, HealthState::kOk)}, metadata, false},
    };
    for (const Row& row : rows) EXPECT_EQ(row.healthy, judge(row.conditions, row.required).healthy) << row.what;
}

TEST(AnycastVerdict, NamesWhatFailedAndWhatIsShared) {
    Verdict verdict = judge(
        {condition("metadata", kLocal, HealthState::kFailed), condition("factory", kShared, HealthState::kDegraded)},
        {});
    EXPECT_EQ("metadata/listener: a message", verdict.reason);
    EXPECT_EQ(std::vector<std::string>{"factory/listener: a message"}, verdict.shared);
}

class AnycastDecision : public testing::Test {
protected:
    bool good() { return step(true); }
    bool bad() { return step(false); }
    bool step(bool healthy) {
        clock_.advance(500ms);
        return decision_.check({healthy, healthy ? "fine" : "listener dead", {}}, clock_.steady_now());
    }
    // The n-th withdrawal of a flapping server.
    void flap() {
        while (!decision_.announce()) good();
        while (decision_.announce()) bad();
    }

    ManualClock clock_;
    Decision decision_{3, 2};
};

TEST_F(AnycastDecision, DeniesByDefault) {
    EXPECT_FALSE(decision_.announce());
    EXPECT_FALSE(bad());
    EXPECT_FALSE(decision_.announce());
    EXPECT_EQ("listener dead", decision_.reason());
}

TEST_F(AnycastDecision, AnnouncesAfterGoodChecksInARow) {
    EXPECT_FALSE(good());
    EXPECT_FALSE(good());
    EXPECT_TRUE(good());
    EXPECT_TRUE(decision_.announce());
    EXPECT_FALSE(good());
}

TEST_F(AnycastDecision, ABadCheckBeginsTheRowAnew) {
    good(), good(), bad(), good(), good();
    EXPECT_FALSE(decision_.announce());
    good();
    EXPECT_TRUE(decision_.announce());
}

TEST_F(AnycastDecision, HoldsWhenOneCheckFlaps) {
    good(), good(), good();
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(bad());
        EXPECT_FALSE(good());
        EXPECT_TRUE(decision_.announce());
    }
}

TEST_F(AnycastDecision, WithdrawsAfterBadChecksInARow) {
    good(), good(), good();
    EXPECT_FALSE(bad());
    EXPECT_TRUE(bad());
    EXPECT_FALSE(decision_.announce());
    EXPECT_EQ("listener dead", decision_.reason());
}

TEST_F(AnycastDecision, TheFirstWithdrawalHoldsNothingDown) {
    flap();
    EXPECT_EQ(0s, decision_.hold_down(clock_.steady_now()));
    good(), good();
    EXPECT_TRUE(good());
}

TEST_F(AnycastDecision, FlappingHoldsDownLongerEachTime) {
    flap();
    for (auto expected : {5s, 10s, 20s, 40s, 80s, 160s, 160s}) {
        flap();
        EXPECT_EQ(expected, decision_.hold_down(clock_.steady_now()));
        good(), good(), good();
        EXPECT_FALSE(decision_.announce());
        EXPECT_EQ(0u, decision_.reason().find("healthy, held down for"));
    }
}

TEST_F(AnycastDecision, ForgivesAfterAQuietTime) {
    flap(), flap(), flap();
    while (!decision_.announce()) good();
    clock_.advance(kFlapMemory);
    flap();
    EXPECT_EQ(0s, decision_.hold_down(clock_.steady_now()));
}

}  // namespace
}  // namespace nett::anycast
