#include "plugins/bgp-anycast/check.hpp"

#include <gtest/gtest.h>

#include "plugins/bgp-anycast/probe.hpp"

namespace nett::anycast {
namespace {

using namespace std::chrono_literals;

constexpr auto kUp = CheckState::kUp;
constexpr auto kDown = CheckState::kDown;
constexpr auto kUnknown = CheckState::kUnknown;

// '+' is a good result, '-' a bad one; the state after all of them.
CheckState after(const std::string& results, CheckTracker tracker) {
    for (char result : results) tracker.add({result == '+', ""});
    return tracker.state();
}

TEST(AnycastCheckTracker, MovesAfterResultsInARow) {
    struct Row {
        std::string results;
        int rise, fall;
        CheckState state;
    };
    const std::vector<Row> rows{
        {"", 2, 2, kUnknown},  {"+", 2, 2, kUnknown},      {"++", 2, 2, kUp},         {"-", 2, 2, kUnknown},
        {"--", 2, 2, kDown},   {"+-+-+-", 2, 2, kUnknown}, {"++-", 2, 2, kUp},        {"++-+-+-", 2, 2, kUp},
        {"++--", 2, 2, kDown}, {"--+", 2, 2, kDown},       {"--++", 2, 2, kUp},       {"--+-+", 2, 2, kDown},
        {"+", 1, 1, kUp},      {"-", 1, 1, kDown},         {"+-", 1, 1, kDown},       {"+++", 4, 1, kUnknown},
        {"++++", 4, 1, kUp},   {"++++-", 4, 1, kDown},     {"++++-+++", 4, 1, kDown}, {"++++-++++", 4, 1, kUp},
    };
    for (const Row& row : rows) {
        EXPECT_EQ(row.state, after(row.results, CheckTracker(row.rise, row.fall)))
            << row.results << " rise " << row.rise << " fall " << row.fall;
    }
}

TEST(AnycastCheckTracker, TellsOnlyChanges) {
    CheckTracker tracker(1, 2);
    EXPECT_TRUE(tracker.add({true, "fine"}));
    EXPECT_FALSE(tracker.add({true, "fine"}));
    EXPECT_FALSE(tracker.add({false, "refused"}));
    EXPECT_EQ("refused", tracker.message());
    EXPECT_TRUE(tracker.add({false, "refused"}));
}

TEST(AnycastCheckTracker, IsSettledWhenTheLastResultAgrees) {
    CheckTracker tracker(2, 2);
    EXPECT_FALSE(tracker.settled());
    tracker.add({true, ""}), tracker.add({true, ""});
    EXPECT_TRUE(tracker.settled());
    tracker.add({false, ""});
    EXPECT_FALSE(tracker.settled());
    tracker.add({false, ""});
    EXPECT_TRUE(tracker.settled());
    tracker.add({true, ""});
    EXPECT_FALSE(tracker.settled());
}

TEST(AnycastCheckTracker, ForgetsOnReset) {
    CheckTracker tracker(1, 1);
    tracker.add({true, "fine"});
    tracker.reset();
    EXPECT_EQ(kUnknown, tracker.state());
    EXPECT_EQ("0 of 1 good results", tracker.progress());
}

TEST(AnycastCheck, WaitsTheIntervalPlusItsSplay) {
    CheckSettings check;
    check.interval = 1000ms, check.fast_interval = 200ms, check.splay_percent = 50;
    EXPECT_EQ(1000ms, next_delay(check, true, 0));
    EXPECT_EQ(1250ms, next_delay(check, true, 0.5));
    EXPECT_EQ(200ms, next_delay(check, false, 0));
    EXPECT_EQ(250ms, next_delay(check, false, 0.5));
    check.fast_interval = 5000ms;
    EXPECT_EQ(1000ms, next_delay(check, false, 0));
}

TEST(AnycastCheck, ReadsTheStatusOfAnAnswer) {
    EXPECT_EQ(200, parse_status_line("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(503, parse_status_line("HTTP/1.0 503\r\n"));
    for (const char* wrong : {"", "HTTP/1.1", "HTTP/2 200 OK\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000 OK\r\n",
                              "HTTP/1.1 abc no", "SSH-2.0-OpenSSH_9.2", "HTTP/1.1 999 no\r\n"}) {
        EXPECT_EQ(std::nullopt, parse_status_line(wrong)) << wrong;
    }
}

}  // namespace
}  // namespace nett::anycast
