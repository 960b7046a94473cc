#include "plugins/metadata/media_ledger.hpp"

#include <gtest/gtest.h>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {
namespace {

using News = MediaLedger::News;
const SystemTime kNow{std::chrono::seconds(1'700'000'000)};

MediaGrant grant(std::string key = "k") {
    MediaGrant out;
    out.token_sha256 = std::move(key);
    out.job = "7";
    out.machine = "node-1";
    return out;
}

TEST(Coverage, IsCompleteOnceEveryByteWasSentInWhateverOrder) {
    Coverage coverage;
    EXPECT_FALSE(coverage.covers(100));
    coverage.add({50, 50});
    coverage.add({0, 10});
    coverage.add({20, 20});
    EXPECT_EQ(coverage.pieces(), 3U);
    coverage.add({5, 20});
    EXPECT_EQ(coverage.pieces(), 2U);
    EXPECT_FALSE(coverage.covers(100));
    coverage.add({40, 10});
    EXPECT_EQ(coverage.pieces(), 1U);
    EXPECT_TRUE(coverage.covers(100));
    EXPECT_FALSE(coverage.covers(101));
}

TEST(Coverage, RepeatsAndInnerRangesChangeNothing) {
    Coverage coverage;
    coverage.add({10, 20});
    coverage.add({10, 20});
    coverage.add({15, 5});
    coverage.add({30, 0});
    EXPECT_EQ(coverage.pieces(), 1U);
    EXPECT_FALSE(coverage.covers(30));
    coverage.add({0, 40});
    EXPECT_EQ(coverage.pieces(), 1U);
    EXPECT_TRUE(coverage.covers(40));
}

TEST(Coverage, ForgetsPiecesAboveItsBoundRatherThanGrow) {
    Coverage coverage;
    for (std::uint64_t i = 0; i < 2 * kMaxMediaGaps; ++i) coverage.add({i * 10, 1});
    EXPECT_EQ(coverage.pieces(), kMaxMediaGaps);
    coverage.add({0, 10 * kMaxMediaGaps});  // what touches known pieces still counts
    EXPECT_TRUE(coverage.covers(10 * kMaxMediaGaps));
}

TEST(MediaLedger, TellsTheFirstByteAndTheLastOnce) {
    MediaLedger ledger;
    ledger.note_request(grant(), 10, "2001:db8::b", kNow);
    EXPECT_EQ(ledger.note_sent("k", {0, 5}, kNow), News::kFirst);
    EXPECT_EQ(ledger.note_sent("k", {0, 5}, kNow), News::kNone);
    EXPECT_EQ(ledger.note_sent("k", {5, 5}, kNow), News::kComplete);
    EXPECT_EQ(ledger.note_sent("k", {5, 5}, kNow), News::kNone);
    const auto use = ledger.all().at(0);
    EXPECT_EQ(use.job, "7");
    EXPECT_EQ(use.bytes, 20U);
    EXPECT_EQ(use.size, 10U);
    EXPECT_TRUE(use.complete);
}

TEST(MediaLedger, HandsOutWhatChangedSinceTheLastTime) {
    MediaLedger ledger;
    ledger.note_request(grant("a"), 10, "2001:db8::b", kNow);
    ledger.note_request(grant("b"), 10, "2001:db8::b", kNow);
    EXPECT_EQ(ledger.take_changed().size(), 2U);
    EXPECT_TRUE(ledger.take_changed().empty());
    ledger.note_sent("b", {0, 1}, kNow);
    ASSERT_EQ(ledger.take_changed().size(), 1U);
}

TEST(MediaLedger, GoesOnWithTheNumbersOfAnEarlierRun) {
    MediaUse before;
    before.token_sha256 = "k";
    before.job = "7";
    before.requests = 3;
    before.bytes = 8;
    before.size = 10;
    MediaLedger ledger;
    ledger.load(before);
    ledger.note_request(grant(), 10, "2001:db8::b", kNow);
    EXPECT_EQ(ledger.note_sent("k", {8, 2}, kNow), News::kNone);
    const auto use = ledger.all().at(0);
    EXPECT_EQ(use.requests, 4U);
    EXPECT_EQ(use.bytes, 10U);
    EXPECT_FALSE(use.complete);  // nobody knows which bytes those eight were
}

TEST(MediaLedger, AForgottenGrantLeavesNothing) {
    MediaLedger ledger;
    ledger.note_request(grant(), 10, "2001:db8::b", kNow);
    ledger.forget("k");
    EXPECT_EQ(ledger.note_sent("k", {0, 5}, kNow), News::kNone);
    EXPECT_TRUE(ledger.all().empty());
}

}  // namespace
}  // namespace nett::metadata
