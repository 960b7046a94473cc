#include "tests/unit/store/store_fixture.hpp"

#include <thread>

namespace nett::test {
namespace {

TEST_F(StoreTest, ReadsBackWhatWasCommitted) {
    EXPECT_EQ(store_->revision(), 0U);
    ASSERT_EQ(commit(put("machine", "node-1", R"({"a":1})")).value(), 1U);
    const auto record = store_->get("machine", "node-1").value().value();
    EXPECT_EQ(record.kind, "machine");
    EXPECT_EQ(record.key, "node-1");
    EXPECT_EQ(record.value, R"({"a":1})");
    EXPECT_EQ(record.revision, 1U);
    EXPECT_FALSE(store_->get("machine", "node-2").value());
    EXPECT_FALSE(store_->get("tenant", "node-1").value());
}

TEST_F(StoreTest, KeepsBytesThatSqlWouldTripOver) {
    const std::string value = std::string("a\0b'\";--", 8);
    ASSERT_TRUE(commit(put("machine", "o'brien", value)));
    EXPECT_EQ(value_of("machine", "o'brien"), value);
}

TEST_F(StoreTest, SurvivesReopening) {
    ASSERT_TRUE(commit(put("machine", "node-1", "1", {{"uuid", "u-1"}})));
    ASSERT_TRUE(commit(put("machine", "node-2", "2")));
    open();
    EXPECT_EQ(store_->revision(), 2U);
    EXPECT_EQ(value_of("machine", "node-2"), "2");
    EXPECT_EQ(store_->find("machine", "uuid", "u-1").value().value().key, "node-1");
    EXPECT_EQ(commit(put("machine", "node-3", "3")).value(), 3U);
}

TEST_F(StoreTest, ListsInKeyOrderInPages) {
    for (const auto* key : {"c", "a", "b", "d"}) ASSERT_TRUE(commit(put("machine", key, key)));
    ASSERT_TRUE(commit(put("tenant", "aa", "x")));
    const auto keys = [&](std::string_view after, std::size_t limit) {
        std::string out;
        const auto records = store_->list("machine", after, limit).value();
        for (const auto& record : records) out += record.key;
        return out;
    };
    EXPECT_EQ(keys("", SIZE_MAX), "abcd");
    EXPECT_EQ(keys("", 2), "ab");
    EXPECT_EQ(keys("b", 2), "cd");
    EXPECT_EQ(keys("d", 2), "");
}

TEST_F(StoreTest, CompareKeepsALostUpdateOut) {
    ASSERT_TRUE(commit(only_if(put("machine", "node-1", "new"), "machine", "node-1", 0)));
    const auto again = commit(only_if(put("machine", "node-1", "other"), "machine", "node-1", 0));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::kAborted);
    EXPECT_EQ(value_of("machine", "node-1"), "new");
    EXPECT_TRUE(commit(only_if(put("machine", "node-1", "third"), "machine", "node-1", 1)));
    EXPECT_EQ(value_of("machine", "node-1"), "third");
}

TEST_F(StoreTest, OneFailingPartUndoesTheWholeTransaction) {
    auto both = put("machine", "node-1", "1");
    both.puts.push_back({"machine", "node-2", "2", {}});
    both.compares.push_back({"machine", "node-9", 7});
    EXPECT_FALSE(commit(both));
    EXPECT_EQ(value_of("machine", "node-1"), "(none)");
    EXPECT_EQ(store_->revision(), 0U);
}

TEST_F(StoreTest, IndexValueHasOneOwnerAndTheErrorNamesBoth) {
    ASSERT_TRUE(commit(put("machine", "node-1", "1", {{"mac", "aa"}})));
    const auto taken = commit(put("machine", "node-2", "2", {{"mac", "aa"}}));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::kAlreadyExists);
    EXPECT_EQ(taken.error().message, "machine \"node-1\" has mac aa already; machine \"node-2\" cannot have it too");
    EXPECT_EQ(value_of("machine", "node-2"), "(none)");
    // Another kind or another index may have it.
    EXPECT_TRUE(commit(put("bmc", "node-2", "2", {{"mac", "aa"}})));
    EXPECT_TRUE(commit(put("machine", "node-2", "2", {{"uuid", "aa"}})));
}

TEST_F(StoreTest, IndexFollowsItsRecord) {
    ASSERT_TRUE(commit(put("machine", "node-1", "1", {{"mac", "aa"}, {"mac", "bb"}})));
    ASSERT_TRUE(commit(put("machine", "node-1", "1", {{"mac", "bb"}})));
    EXPECT_FALSE(store_->find("machine", "mac", "aa").value());
    EXPECT_TRUE(store_->find("machine", "mac", "bb").value());
    ASSERT_TRUE(commit(remove("machine", "node-1")));
    EXPECT_FALSE(store_->find("machine", "mac", "bb").value());
}

TEST_F(StoreTest, ScansAndCountsAGroupOfAnIndexInPages) {
    for (const auto* key : {"c", "a", "b"}) {
        ASSERT_TRUE(commit(put("machine", key, key, {{"tenant", std::string("t/") + key}, {"mac", key}})));
    }
    ASSERT_TRUE(commit(put("machine", "d", "d", {{"tenant", "t0/d"}})));
    ASSERT_TRUE(commit(put("machine", "e", "e", {{"tenant", "t\xc3\xa9/e"}})));
    const auto keys = [&](std::string_view prefix, std::string_view after, std::size_t limit) {
        std::string out;
        const auto records = store_->scan("machine", "tenant", prefix, after, limit).value();
        for (const auto& record : records) out += record.key;
        return out;
    };
    EXPECT_EQ(keys("t/", "", 10), "abc");
    EXPECT_EQ(keys("t/", "", 2), "ab");
    EXPECT_EQ(keys("t/", "t/b", 2), "c");
    EXPECT_EQ(keys("", "", 10), "abcde") << "the whole index";
    EXPECT_EQ(keys("u/", "", 10), "");
    EXPECT_EQ(store_->count("machine", "tenant", "t/").value(), 3U);
    EXPECT_EQ(store_->count("machine", "mac", "").value(), 3U);
    EXPECT_EQ(store_->count("job", "tenant", "t/").value(), 0U);
}

TEST_F(StoreTest, RecordsMaySwapIndexValuesInOneTransaction) {
    ASSERT_TRUE(commit(put("machine", "node-1", "1", {{"mac", "aa"}})));
    ASSERT_TRUE(commit(put("machine", "node-2", "2", {{"mac", "bb"}})));
    auto swap = put("machine", "node-1", "1", {{"mac", "bb"}});
    swap.puts.push_back({"machine", "node-2", "2", {{"mac", "aa"}}});
    ASSERT_TRUE(commit(swap));
    EXPECT_EQ(store_->find("machine", "mac", "aa").value().value().key, "node-2");
    // A replaced machine hands its address over.
    auto replace = put("machine", "node-3", "3", {{"mac", "aa"}});
    replace.deletes.push_back({"machine", "node-2"});
    ASSERT_TRUE(commit(replace));
    EXPECT_EQ(store_->find("machine", "mac", "aa").value().value().key, "node-3");
}

TEST_F(StoreTest, DeletingNothingChangesNothing) {
    EXPECT_EQ(commit(remove("machine", "node-1")).value(), 0U);
    EXPECT_TRUE(store_->changes(0, 10).value().empty());
}

TEST_F(StoreTest, ChangesTellWhatWhoAndWhy) {
    ASSERT_TRUE(commit(put("machine", "node-1", "1")));
    ASSERT_TRUE(commit(remove("machine", "node-1")));
    const auto changes = store_->changes(0, 10).value();
    ASSERT_EQ(changes.size(), 2U);
    EXPECT_EQ(changes[0].revision, 1U);
    EXPECT_EQ(changes[0].value, "1");
    EXPECT_EQ(changes[0].actor, "test");
    EXPECT_EQ(changes[0].reason, "because");
    EXPECT_EQ(changes[1].revision, 2U);
    EXPECT_FALSE(changes[1].value);
    EXPECT_EQ(store_->changes(1, 10).value().size(), 1U);
}

TEST_F(StoreTest, ChangesNeverSplitATransaction) {
    auto three = put("machine", "a", "1");
    three.puts.push_back({"machine", "b", "2", {}});
    three.puts.push_back({"machine", "c", "3", {}});
    ASSERT_TRUE(commit(three));
    ASSERT_TRUE(commit(put("machine", "d", "4")));
    EXPECT_EQ(store_->changes(0, 1).value().size(), 3U);
    EXPECT_EQ(store_->changes(1, 1).value().size(), 1U);
}

TEST_F(StoreTest, ChangeLogIsBoundedAndSaysSo) {
    // By bytes: 20 values of 4 MiB are more than kChangeLogBytes.
    const std::string large(kMaxValueSize, 'x');
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(commit(put("machine", "node-1", large)));
    const auto too_old = store_->changes(0, 10);
    ASSERT_FALSE(too_old);
    EXPECT_EQ(too_old.error().code, Code::kFailedPrecondition);
    EXPECT_NE(too_old.error().message.find("go on from revision 20"), std::string::npos) << too_old.error().message;
    EXPECT_EQ(store_->changes(19, 10).value().size(), 1U);
    open();  // the bound is counted again from the file
    ASSERT_TRUE(commit(put("machine", "node-1", large)));
    EXPECT_FALSE(store_->changes(5, 10));
}

TEST_F(StoreTest, RefusesWhatIsTooLargeOrNameless) {
    const auto code = [&](Transaction transaction) {
        const auto result = commit(std::move(transaction));
        return result ? Code::kInternal : result.error().code;
    };
    EXPECT_EQ(code(put("machine", "", "x")), Code::kInvalidArgument);
    EXPECT_EQ(code(put("", "a", "x")), Code::kInvalidArgument);
    EXPECT_EQ(code(put("machine", std::string(kMaxKeySize + 1, 'a'), "x")), Code::kInvalidArgument);
    EXPECT_EQ(code(put("machine", "a", std::string(kMaxValueSize + 1, 'a'))), Code::kInvalidArgument);
    auto twice = put("machine", "a", "1");
    twice.deletes.push_back({"machine", "a"});
    EXPECT_EQ(code(twice), Code::kInvalidArgument);
}

TEST_F(StoreTest, ConcurrentCommitsEachGetTheirOwnVerdict) {
    constexpr int kCount = 500;
    std::vector<Result<Revision>> results(kCount, Result<Revision>(Revision(0)));
    int done = 0;
    for (int i = 0; i < kCount; ++i) {
        auto transaction = put("machine", std::to_string(i), "x");
        if (i % 3 == 0) transaction.compares.push_back({"machine", "absent", 9});  // fails
        asio::co_spawn(loop_, store_->commit(std::move(transaction)),
                       [&results, &done, i](const std::exception_ptr&, Result<Revision> result) {
                           results[static_cast<std::size_t>(i)] = std::move(result);
                           ++done;
                       });
    }
    loop_.restart();
    loop_.run();
    EXPECT_EQ(done, kCount);
    Revision last = 0;
    for (int i = 0; i < kCount; ++i) {
        const auto& result = results[static_cast<std::size_t>(i)];
        EXPECT_EQ(result.has_value(), i % 3 != 0) << i;
        if (!result) continue;
        EXPECT_EQ(*result, last + 1) << "commits keep the order in which they were asked for";
        last = *result;
    }
    EXPECT_EQ(store_->revision(), last);
    EXPECT_EQ(store_->list("machine", "", SIZE_MAX).value().size(), last);
}

TEST_F(StoreTest, WatcherSeesChangesInOrderBeforeTheCommitterResumes) {
    std::vector<std::string> seen;
    auto machines = store_->watch("machine", [&](const Change& change) {
        seen.push_back(change.kind + "/" + change.key + "@" + std::to_string(change.revision));
        EXPECT_EQ(value_of(change.kind, change.key), change.value.value_or("(none)"))
            << "readers see it before watchers";
    });
    auto everything =
        store_->watch("", [&](const Change& change) { seen.push_back("any@" + std::to_string(change.revision)); });
    ASSERT_TRUE(commit(put("machine", "node-1", "1")));
    EXPECT_EQ(seen, (std::vector<std::string>{"machine/node-1@1", "any@1"}));
    ASSERT_TRUE(commit(put("tenant", "t", "1")));
    ASSERT_TRUE(commit(remove("machine", "node-1")));
    EXPECT_EQ(seen, (std::vector<std::string>{"machine/node-1@1", "any@1", "any@2", "machine/node-1@3", "any@3"}));
    machines.reset();
    ASSERT_TRUE(commit(put("machine", "node-2", "1")));
    EXPECT_EQ(seen.back(), "any@4");
    EXPECT_EQ(seen.size(), 6U);
}

TEST_F(StoreTest, WatcherMayUnsubscribeInItsOwnCall) {
    int calls = 0;
    Subscription once;
    once = store_->watch("", [&](const Change&) {
        ++calls;
        once.reset();
    });
    ASSERT_TRUE(commit(put("machine", "a", "1")));
    ASSERT_TRUE(commit(put("machine", "b", "1")));
    EXPECT_EQ(calls, 1);
}

TEST_F(StoreTest, SubscriptionMayOutliveTheStore) {
    auto subscription = store_->watch("", [](const Change&) {});
    store_.reset();
    subscription.reset();
}

TEST_F(StoreTest, ClosingWritesWhatIsQueued) {
    for (int i = 0; i < 100; ++i) {
        asio::co_spawn(loop_, store_->commit(put("machine", std::to_string(i), "x")),
                       [](const std::exception_ptr&, const Result<Revision>& result) { EXPECT_TRUE(result); });
    }
    settle();  // submits; answers may still be under way
    open();
    EXPECT_EQ(store_->list("machine", "", SIZE_MAX).value().size(), 100U);
    settle();
}

TEST_F(StoreTest, ReadsFromManyThreadsWhileWriting) {
    std::atomic<bool> stop = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i < 8; ++i) {
        readers.emplace_back([&] {
            while (!stop) {
                // Both records are written by one transaction: a reader that sees the change sees all of it.
                const auto records = store_->list("pair", "", SIZE_MAX);
                if (!records || (records->size() == 2 && (*records)[0].value != (*records)[1].value)) ++wrong;
            }
        });
    }
    for (int i = 0; i < 100; ++i) {
        auto pair = put("pair", "a", std::to_string(i));
        pair.puts.push_back({"pair", "b", std::to_string(i), {}});
        ASSERT_TRUE(commit(std::move(pair)));
    }
    stop = true;
    for (auto& reader : readers) reader.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace nett::test
