#include <gtest/gtest.h>

#include "agent/core/metrics/registry.hpp"
#include "agent/core/metrics/settings.hpp"

namespace nett {
namespace {

bool has(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(MetricsRegistry, WritesPrometheusText) {
    MetricsRegistry registry;
    registry.counter({"nett_boots_total", "Boots.", {"tenant"}}).with({"a\"b"})->add(3);
    registry.gauge({"nett_now", "Now."}).with()->set(1.5);
    registry.histogram({"nett_time_seconds", "Time."}, {1, 2}).with()->observe(1.5);
    const auto text = registry.scrape();
    EXPECT_TRUE(has(text, "# TYPE nett_boots_total counter"));
    EXPECT_TRUE(has(text, R"(nett_boots_total{tenant="a\"b"} 3)"));
    EXPECT_TRUE(has(text, "nett_now 1.5"));
    EXPECT_TRUE(has(text, R"(nett_time_seconds_bucket{le="1"} 0)"));
    EXPECT_TRUE(has(text, R"(nett_time_seconds_bucket{le="2"} 1)"));
    EXPECT_TRUE(has(text, R"(nett_time_seconds_bucket{le="+Inf"} 1)"));
    EXPECT_TRUE(has(text, "nett_time_seconds_sum 1.5"));
}

TEST(MetricsRegistry, AFamilyWithoutSeriesIsNotWritten) {
    MetricsRegistry registry;
    registry.counter({"nett_boots_total", "Boots.", {"tenant"}});
    EXPECT_EQ(registry.scrape(), "");
}

TEST(MetricsRegistry, ModulesAreAskedBeforeEachScrapeUntilTheyGo) {
    MetricsRegistry registry;
    const auto gauge = registry.gauge({"nett_now", "Now."}).with();
    int asked = 0;
    auto subscription = registry.before_scrape([&] { gauge->set(++asked); });
    EXPECT_TRUE(has(registry.scrape(), "nett_now 1"));
    EXPECT_TRUE(has(registry.scrape(), "nett_now 2"));
    subscription.reset();
    EXPECT_TRUE(has(registry.scrape(), "nett_now 2"));
    EXPECT_EQ(asked, 2);
}

TEST(MetricsRegistry, ANameThatIsTakenByAnotherThingIsCountedAndNotServed) {
    MetricsRegistry registry;
    registry.counter({"nett_x", "X.", {"a"}}).with({"1"})->add();
    registry.gauge({"nett_x", "X.", {"a"}}).with({"1"})->set(7);
    registry.counter({"nett_x", "X.", {"b"}}).with({"1"})->add(9);
    const auto text = registry.scrape();
    EXPECT_TRUE(has(text, R"(nett_x{a="1"} 1)"));
    EXPECT_EQ(text.find("nett_x{b"), std::string::npos);
}

}  // namespace
}  // namespace nett
