#include "agent/sdk/metrics.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace nett {
namespace {

TEST(Metrics, OneFamilyForOneName) {
    NullMetrics metrics;
    metrics.counter({"nett_boots_total", "Boots.", {"tenant"}}).with({"blue"})->add(2);
    metrics.counter({"nett_boots_total", "Boots.", {"tenant"}}).with({"blue"})->add();
    EXPECT_EQ(metrics.counter({"nett_boots_total", "", {}}).with({"blue"})->value(), 3U);
}

TEST(Metrics, SeriesAboveTheLimitAreCountedAsOther) {
    NullMetrics metrics;
    auto& family = metrics.counter({"nett_x_total", "", {"tenant", "result"}, 2});
    for (const auto* tenant : {"a", "b", "c", "d", "a"}) family.with({tenant, "ok"})->add();
    ASSERT_EQ(family.series().size(), 3U);
    EXPECT_EQ(family.with({"a", "ok"})->value(), 2U);
    EXPECT_EQ(family.with({"other", "other"})->value(), 2U);
}

TEST(Metrics, ARemovedSeriesMakesRoom) {
    NullMetrics metrics;
    auto& family = metrics.gauge({"nett_y", "", {"tenant"}, 1});
    const auto kept = family.with({"a"});
    family.remove({"a"});
    family.with({"b"})->set(7);
    kept->set(1);  // still usable, and seen by nobody
    ASSERT_EQ(family.series().size(), 1U);
    EXPECT_EQ(family.series()[0].first, LabelValues{"b"});
}

TEST(Metrics, AnObservationOnABoundIsInItsBucket) {
    Histogram histogram({1, 2});
    for (const double value : {0.5, 1.0, 1.5, 2.0, 3.0}) histogram.observe(value);
    EXPECT_EQ(histogram.buckets(), (std::vector<std::uint64_t>{2, 2, 1}));
    EXPECT_DOUBLE_EQ(histogram.sum(), 8.0);
}

TEST(Metrics, NoObservationIsLostBetweenThreads) {
    Histogram histogram({1});
    Counter counter;
    constexpr int kEach = 20'000;
    const auto work = [&] {
        for (int i = 0; i < kEach; ++i) {
            histogram.observe(1);
            counter.add();
        }
    };
    std::thread first(work);
    std::thread second(work);
    first.join();
    second.join();
    EXPECT_EQ(counter.value(), 2U * kEach);
    EXPECT_EQ(histogram.buckets()[0], 2U * kEach);
    EXPECT_DOUBLE_EQ(histogram.sum(), 2.0 * kEach);
}

}  // namespace
}  // namespace nett
