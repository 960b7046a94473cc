#include "plugins/metadata/boot_metrics.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace nett::metadata {
namespace {

using namespace std::chrono_literals;

class BootMetricsTest : public testing::Test {
protected:
    std::uint64_t requests(const std::string& tenant, const std::string& result) {
        return metrics_.counter({"nett_boot_requests_total", "", {}}).with({tenant, result})->value();
    }
    std::vector<std::uint64_t> buckets(const std::string& result) {
        return metrics_.histogram({"nett_boot_request_seconds", "", {}}, {}).with({result})->buckets();
    }
    NullMetrics metrics_;
    BootMetrics boots_{metrics_};
};

TEST_F(BootMetricsTest, CountsByTenantAndResultWithTheTimeTaken) {
    boots_.count(boots_.of("blue"), Outcome::kNetboot, 2ms);
    boots_.count(boots_.of("blue"), Outcome::kNetboot, 20s);
    boots_.count(boots_.of("green"), Outcome::kUnknownMachine, 1us);
    EXPECT_EQ(requests("blue", "netboot"), 2U);
    EXPECT_EQ(requests("green", "unknown_machine"), 1U);
    EXPECT_EQ(requests("green", "netboot"), 0U);
    EXPECT_EQ(buckets("netboot").back(), 1U);  // 20 s are above all bounds
    EXPECT_EQ(buckets("unknown_machine").front(), 1U);
}

TEST_F(BootMetricsTest, ATenantIsTheSameEntryEachTime) {
    EXPECT_EQ(&boots_.of("blue"), &boots_.of("blue"));
    EXPECT_NE(&boots_.of("blue"), &boots_.of("green"));
}

TEST_F(BootMetricsTest, TenantsAboveTheLimitAreCountedTogether) {
    for (std::size_t i = 0; i < kMaxSeries + 50; ++i) {
        boots_.count(boots_.of("tenant-" + std::to_string(i)), Outcome::kNetboot, 1ms);
    }
    EXPECT_EQ(&boots_.of("tenant-" + std::to_string(kMaxSeries + 1)), &boots_.of("another"));
    EXPECT_EQ(requests("tenant-0", "netboot"), 1U);
}

TEST_F(BootMetricsTest, ThreadsThatMeetANewTenantShareItsEntry) {
    std::array<const BootMetrics::Tenant*, 4> seen{};
    std::vector<std::thread> threads;
    for (auto& one : seen) {
        threads.emplace_back([&one, this] {
            for (int i = 0; i < 500; ++i) one = &boots_.of("tenant-" + std::to_string(i));
        });
    }
    for (auto& thread : threads) thread.join();
    for (const auto* one : seen) EXPECT_EQ(one, seen.front());
}

}  // namespace
}  // namespace nett::metadata
