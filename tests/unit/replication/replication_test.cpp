#include <gtest/gtest.h>

#include "agent/sdk/servers.hpp"
#include "tests/unit/replication/server_fixture.hpp"

namespace nett::test {
namespace {

TEST_F(ReplicationTest, WhatOneServerStoresEveryServerHasUnderTheSameRevision) {
    const auto a = member("gw-1");
    const auto b = member("gw-2");
    const auto revision = a->commit(put("machine", "m", "1"));
    ASSERT_TRUE(revision) << revision.error().to_string();
    EXPECT_EQ(a->value_of("machine", "m"), "1");  // the writer reads its own write
    EXPECT_TRUE(has(*b, "m", "1"));
    EXPECT_EQ(b->revision_of("machine", "m"), *revision);
    EXPECT_EQ(a->revision_of("machine", "m"), *revision);
}

TEST_F(ReplicationTest, WatchersHearOfTheOthersChangesWithTheirAuthor) {
    const auto a = member("gw-1");
    const auto b = member("gw-2");
    std::vector<Change> heard;
    const auto subscription = b->store().watch("machine", [&](const Change& change) { heard.push_back(change); });
    ASSERT_TRUE(a->commit(put("machine", "m", "1")));
    ASSERT_TRUE(a->commit(remove("machine", "m")));
    ASSERT_TRUE(holds(loop_, [&] { return heard.size() == 2; }));
    EXPECT_EQ(heard[0].actor, "test");
    EXPECT_EQ(heard[0].reason, "because");
    EXPECT_EQ(heard[1].value, std::nullopt);
}

TEST_F(ReplicationTest, OfTwoWritersWhoReadTheSameOneIsTold) {
    const auto a = member("gw-1");
    const auto b = member("gw-2");
    const auto first = a->commit(put("machine", "m", "1"));
    ASSERT_TRUE(has(*b, "m", "1"));
    // b's copy is behind when it sends: only etcd can say so.
    b->etcd->before_txn = [&] {
        replication::EtcdTxn other;
        other.puts.push_back({"/nett/state/record/machine/m", "{\"indexes\":[]}\n2"});
        cluster_.apply(other);
    };
    const auto lost = b->commit(only_if(put("machine", "m", "3"), "machine", "m", *first));
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, Code::kAborted);
    EXPECT_TRUE(has(*b, "m", "2"));
    ASSERT_TRUE(b->commit(only_if(put("machine", "m", "3"), "machine", "m", b->revision_of("machine", "m"))));
    EXPECT_TRUE(has(*a, "m", "3"));
}

TEST_F(ReplicationTest, AnIndexValueHasOneOwnerAcrossServers) {
    const auto a = member("gw-1");
    const auto b = member("gw-2");
    // Both claim it at once: b's copy does not have a's record yet.
    b->etcd->before_txn = [&] {
        replication::EtcdTxn other;
        other.puts.push_back({"/nett/state/record/machine/m1", "{\"indexes\":[[\"uuid\",\"u\"]]}\n1"});
        other.puts.push_back({"/nett/state/index/machine/uuid/u", "m1"});
        cluster_.apply(other);
    };
    const auto taken = b->commit(put("machine", "m2", "2", {{"uuid", "u"}}));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::kAlreadyExists) << taken.error().to_string();
    EXPECT_TRUE(has(*b, "m1", "1"));
    // It is free again once its owner gives it up, at whichever server.
    ASSERT_TRUE(has(*a, "m1", "1"));
    ASSERT_TRUE(a->commit(remove("machine", "m1")));
    ASSERT_TRUE(has(*b, "m1", "(none)"));
    EXPECT_TRUE(b->commit(put("machine", "m2", "2", {{"uuid", "u"}})));
}

TEST_F(ReplicationTest, AnAnswerThatGotLostIsKnownFromTheWatch) {
    const auto a = member("gw-1");
    a->etcd->lose_next_answer = true;
    const auto before = a->etcd->transactions;
    const auto stored = a->commit(only_if(put("machine", "m", "1"), "machine", "m", 0));
    ASSERT_TRUE(stored) << stored.error().to_string();
    EXPECT_EQ(a->revision_of("machine", "m"), *stored);
    EXPECT_EQ(a->etcd->transactions, before + 1);
}

TEST_F(ReplicationTest, WithoutEtcdReadsAndLocalKindsGoOnAndSharedWritesFail) {
    const auto a = member("gw-1");
    ASSERT_TRUE(a->commit(put("machine", "m", "1")));
    a->etcd->cut(true);
    ASSERT_TRUE(holds(loop_, [&] { return !a->replication->status().at("etcd_answers").as_bool(); }));
    const auto refused = a->commit(put("machine", "m", "2"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    EXPECT_EQ(a->value_of("machine", "m"), "1");
    EXPECT_TRUE(a->commit(put("anycast", "history", "{}")));
    EXPECT_EQ(a->value_of("anycast", "history"), "{}");
    a->etcd->cut(false);
    ASSERT_TRUE(holds(loop_, [&] { return a->commit(put("machine", "m", "3")).has_value(); }));
    EXPECT_EQ(a->value_of("machine", "m"), "3");
}

TEST_F(ReplicationTest, LocalKindsStayLocalAndAreComparedByTheirOwnRevisions) {
    const auto a = member("gw-1");
    const auto b = member("gw-2");
    const auto first = a->commit(put("ra-port", "swp1", "1"));
    ASSERT_TRUE(first);
    EXPECT_TRUE(a->commit(only_if(put("ra-port", "swp1", "2"), "ra-port", "swp1", *first)));
    EXPECT_EQ(a->commit(only_if(put("ra-port", "swp1", "3"), "ra-port", "swp1", *first)).error().code, Code::kAborted);
    EXPECT_EQ(b->value_of("ra-port", "swp1"), "(none)");
    auto mixed = put("ra-port", "swp1", "4");
    mixed.puts.push_back({"machine", "m", "4", {}});
    EXPECT_EQ(a->commit(std::move(mixed)).error().code, Code::kInvalidArgument);
}

TEST_F(ReplicationTest, CompactionIsSurvivedByADifference) {
    const auto a = member("gw-1");
    const auto b = member("gw-2");
    ASSERT_TRUE(a->commit(put("machine", "gone", "1", {{"mac", "m"}})));
    ASSERT_TRUE(a->commit(put("machine", "stays", "1")));
    ASSERT_TRUE(has(*b, "stays", "1"));
    const auto snapshots = b->snapshots();
    std::map<std::string, std::string> heard;
    const auto subscription = b->store().watch(
        "machine", [&](const Change& change) { heard[change.key] = change.value.value_or("(deleted)"); });
    b->etcd->cut(true);
    ASSERT_TRUE(a->commit(remove("machine", "gone")));
    ASSERT_TRUE(a->commit(put("machine", "new", "1", {{"mac", "m"}})));
    const auto last_revision = b->store().revision();
    cluster_.compact();
    b->etcd->cut(false);
    EXPECT_TRUE(has(*b, "new", "1"));
    EXPECT_EQ(b->value_of("machine", "gone"), "(none)");
    EXPECT_EQ(b->store().find("machine", "mac", "m").value()->key, "new");
    EXPECT_TRUE(holds(loop_, [&] { return b->snapshots() == snapshots + 1 && heard.size() == 2; }));
    EXPECT_EQ(heard["gone"], "(deleted)");
    EXPECT_EQ(heard["new"], "1");
    EXPECT_FALSE(heard.contains("stays"));
    EXPECT_EQ(b->store().changes(last_revision, 10).error().code, Code::kFailedPrecondition);
    ASSERT_TRUE(a->commit(put("machine", "after", "1")));
    EXPECT_TRUE(has(*b, "after", "1"));
}

TEST_F(ReplicationTest, ARestartGoesOnWhereTheFileIs) {
    const auto a = member("gw-1");
    auto b = member("gw-2");
    b.reset();
    ASSERT_TRUE(a->commit(put("machine", "m", "1")));
    b = member("gw-2");
    EXPECT_TRUE(has(*b, "m", "1"));
    EXPECT_EQ(b->snapshots(), 0U);
}

TEST_F(ReplicationTest, AServerWithRecordsOfItsOwnServesThemAndWritesNothingUntilTheyAreMovedIn) {
    {
        const auto alone = SqliteStore::open(folder_ / "gw-1.db", loop_.get_executor()).value();
        for (int i = 0; i < 200; ++i) {
            auto one = put("machine", fmt::format("m{:03}", i), "old", {{"uuid", fmt::format("u{}", i)}});
            ASSERT_TRUE(await_on(loop_, alone->commit(std::move(one))));
        }
        ASSERT_TRUE(await_on(loop_, alone->commit(put("ra-port", "swp1", "mine"))));
    }
    const auto a = server("gw-1");
    ASSERT_TRUE(holds(loop_, [&] { return a->error().find("migrate in") != std::string::npos; }));
    EXPECT_EQ(a->value_of("machine", "m000"), "old");
    EXPECT_EQ(a->commit(put("machine", "m000", "new")).error().code, Code::kFailedPrecondition);
    const auto moved = await_on(loop_, a->replication->migrate_in());
    ASSERT_TRUE(moved) << moved.error().to_string();
    EXPECT_EQ(*moved, 200U);
    const auto b = member("gw-2");
    EXPECT_EQ(b->value_of("machine", "m199"), "old");
    EXPECT_EQ(b->value_of("ra-port", "swp1"), "(none)");
    EXPECT_EQ(a->value_of("ra-port", "swp1"), "mine");
    EXPECT_EQ(b->commit(put("machine", "other", "x", {{"uuid", "u7"}})).error().code, Code::kAlreadyExists);
    ASSERT_TRUE(b->commit(put("machine", "m000", "new", {{"uuid", "u0"}})));
    EXPECT_TRUE(has(*a, "m000", "new"));
}

TEST_F(ReplicationTest, ACopyTakesNoSharedWritesAloneUntilItIsMovedOut) {
    {
        const auto a = member("gw-1");
        ASSERT_TRUE(a->commit(put("machine", "m", "1")));
        ASSERT_TRUE(a->commit(put("ra-port", "swp1", "1")));
    }
    const auto file = SqliteStore::open(folder_ / "gw-1.db", loop_.get_executor()).value();
    const auto refused = await_on(loop_, file->commit(put("machine", "m", "2")));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    EXPECT_NE(refused.error().message.find("state migrate out"), std::string::npos);
    EXPECT_TRUE(await_on(loop_, file->commit(put("ra-port", "swp1", "2"))));
    ASSERT_TRUE(await_on(loop_, file->leave_cluster()));
    const auto own = await_on(loop_, file->commit(put("machine", "m", "2")));
    ASSERT_TRUE(own);
    EXPECT_GT(*own, file->get("ra-port", "swp1").value()->revision);
}

TEST_F(ReplicationTest, AServerWithAnotherSecretKeyDoesNotJoin) {
    const auto a = member("gw-1");
    const auto b = server("gw-2", "another.key");
    ASSERT_TRUE(holds(loop_, [&] { return b->error().find("secret key") != std::string::npos; }));
    EXPECT_EQ(b->commit(put("machine", "m", "1")).error().code, Code::kFailedPrecondition);
    EXPECT_EQ(b->lag().state, HealthState::kFailed);
}

TEST_F(ReplicationTest, ServersSeeEachOtherAndACompareKnowsWhoIsGone) {
    const auto a = member("gw-1");
    const auto b = member("gw-2");
    ASSERT_TRUE(holds(loop_, [&] { return a->store().list(kServerKind, "", 9).value().size() == 2; }));
    EXPECT_TRUE(a->store().get(kServerKind, "gw-2").value());
    auto take_over = put("bmc-owner", "bmc", "gw-1");
    take_over.compares.push_back({std::string(kServerKind), "gw-2", 0});
    EXPECT_EQ(a->commit(take_over).error().code, Code::kAborted);
    b->etcd->cut(true);
    cluster_.remove("/nett/server/gw-2");  // its lease ends
    EXPECT_TRUE(a->commit(take_over));
}

TEST_F(ReplicationTest, AFreshCopySaysSo) {
    const auto a = member("gw-1");
    ASSERT_TRUE(holds(loop_, [&] { return a->lag().state == HealthState::kOk && !a->lag().message.empty(); }));
    EXPECT_EQ(a->lag().name, "lag");
}

}  // namespace
}  // namespace nett::test
