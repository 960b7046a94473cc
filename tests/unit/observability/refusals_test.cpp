#include "agent/core/audit/refusals.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

TEST(RefusalLimit, LeavesOutWhatIsTooMuchAndSaysHowMuchLater) {
    RefusalLimit limit;
    const SteadyTime start{};
    for (unsigned i = 0; i < kMaxRefusals; ++i) EXPECT_EQ(limit.admit("a", start), 0U);
    for (unsigned i = 0; i < 5; ++i) EXPECT_FALSE(limit.admit("a", start + std::chrono::seconds(i)));
    EXPECT_EQ(limit.admit("a", start + kRefusalWindow), 5U);
    EXPECT_EQ(limit.admit("a", start + kRefusalWindow), 0U);
}

TEST(RefusalLimit, CountsCallersApart) {
    RefusalLimit limit;
    const SteadyTime start{};
    for (unsigned i = 0; i <= kMaxRefusals; ++i) limit.admit("a", start);
    EXPECT_FALSE(limit.admit("a", start));
    EXPECT_EQ(limit.admit("b", start), 0U);
}

TEST(RefusalLimit, CountsTogetherThoseBeyondItsTable) {
    RefusalLimit limit;
    const SteadyTime start{};
    for (std::size_t i = 0; i < kMaxRefusedCallers; ++i) limit.admit(std::to_string(i), start);
    for (unsigned i = 0; i < kMaxRefusals; ++i) EXPECT_TRUE(limit.admit("x" + std::to_string(i), start));
    EXPECT_FALSE(limit.admit("one more", start));
    // Entries of a window that is over make room.
    EXPECT_EQ(limit.admit("late", start + kRefusalWindow), 0U);
}

}  // namespace
}  // namespace nett
