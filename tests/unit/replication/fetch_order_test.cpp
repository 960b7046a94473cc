#include "agent/replication/fetch_order.hpp"

#include <gtest/gtest.h>

namespace nett::replication {
namespace {

const std::string kDigest(64, 'a');
const SteadyTime kNow{std::chrono::hours(1)};

ServerState peer(std::string name, std::int64_t missing = 0, std::vector<std::string> digests = {}) {
    ServerState out;
    out.name = std::move(name);
    out.artifacts = artifact_state("[2001:db8::1]:8443", digests);
    out.artifacts.missing_files = missing;
    return out;
}

std::string chosen(const FetchOrder& order, const std::vector<ServerState>& peers, SteadyTime now = kNow) {
    const auto one = order.choose(peers, kDigest, now);
    return one ? one->name : "(nobody)";
}

TEST(FetchOrder, WhoSaysThatItLacksTheFileIsNotAsked) {
    EXPECT_FALSE(may_have(peer("a", 1, {kDigest}), kDigest));
    EXPECT_TRUE(may_have(peer("a", 1, {std::string(64, 'b')}), kDigest));
    EXPECT_EQ(chosen({}, {peer("a", 1, {kDigest}), peer("b")}), "b");
}

TEST(FetchOrder, WhoSaysNothingOrCannotBeAskedIsNotAsked) {
    EXPECT_FALSE(may_have(ServerState{}, kDigest));
    EXPECT_FALSE(may_have(peer("starting", -1), kDigest));
    auto silent = peer("silent");
    silent.artifacts.endpoint.clear();
    EXPECT_FALSE(may_have(silent, kDigest));
}

TEST(FetchOrder, AServerThatLacksMoreThanItCanNameMayHaveTheFileAndIsAskedLast) {
    std::vector<std::string> digests;
    for (int i = 0; i < 100; ++i) digests.push_back(fmt::format("{:064x}", i));
    auto state = artifact_state("e", digests);
    EXPECT_EQ(state.missing_files, 100);
    EXPECT_EQ(state.missing.size(), kMissingNamed);
    EXPECT_EQ(state.missing.front().size(), kMissingDigits);
    auto lacking = peer("a");
    lacking.artifacts = state;
    EXPECT_EQ(chosen({}, {lacking, peer("b", 3)}), "b");
    EXPECT_EQ(chosen({}, {lacking}), "a");
}

TEST(FetchOrder, AfterAFailureTheOthersAreAskedFirst) {
    FetchOrder order;
    const std::vector peers{peer("a"), peer("b")};
    const auto first = chosen(order, peers);
    order.failed(first, kNow);
    const auto second = chosen(order, peers);
    EXPECT_NE(second, first);
    order.failed(second, kNow);
    EXPECT_EQ(chosen(order, peers), "(nobody)");
    EXPECT_EQ(order.next(peers, kDigest), kNow + kFirstFetchDelay);
    EXPECT_NE(chosen(order, peers, kNow + kFirstFetchDelay), "(nobody)");
}

TEST(FetchOrder, TheDelayGrowsToItsBound) {
    FetchOrder order;
    const std::vector peers{peer("a")};
    auto now = kNow;
    auto last = SteadyTime::duration::zero();
    for (int i = 0; i < 40; ++i) {
        order.failed("a", now);
        const auto delay = order.next(peers, kDigest) - now;
        EXPECT_GE(delay, last);
        EXPECT_LE(delay, kLastFetchDelay);
        last = delay;
        now += delay;
    }
    EXPECT_EQ(last, kLastFetchDelay);
}

TEST(FetchOrder, DifferentFilesAreAskedOfDifferentServers) {
    const std::vector peers{peer("a"), peer("b"), peer("c")};
    std::map<std::string, int> asked;
    for (int i = 0; i < 90; ++i) ++asked[FetchOrder().choose(peers, fmt::format("{:064x}", i * 7919), kNow)->name];
    for (const auto& [name, times] : asked) EXPECT_GT(times, 10) << name;
    EXPECT_EQ(asked.size(), 3U);
}

TEST(FetchOrder, AServersRecordSaysWhatItLacksAndAnOlderOneSaysNothing) {
    auto state = peer("a", 2, {kDigest, std::string(64, 'b')});
    const auto back = decode_server(encode(state)).value();
    EXPECT_EQ(back.artifacts.endpoint, state.artifacts.endpoint);
    EXPECT_EQ(back.artifacts.missing_files, 2);
    EXPECT_EQ(back.artifacts.missing, state.artifacts.missing);
    const auto older = decode_server(R"({"name":"a","revision":1,"age_ms":1,"announcing":true})").value();
    EXPECT_EQ(older.artifacts.missing_files, -1);
    EXPECT_FALSE(may_have(older, kDigest));
}

}  // namespace
}  // namespace nett::replication
