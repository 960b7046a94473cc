// Plans that touch nothing, lists of mutations that are done together, and mutations that are done once.
#include "agent/core/inventory/plan_store.hpp"
#include "tests/unit/inventory/inventory_fixture.hpp"

namespace nett::test {
namespace {

class PlanTest : public InventoryTest {
protected:
    PlanTest() { put_tenant("tenant-a"); }

    static Mutation register_machine(std::string name, std::string mac) {
        return [name = std::move(name), mac = std::move(mac)](Inventory& inventory, By by) {
            return inventory.put_machine(machine(name, mac), "config of " + name, std::move(by));
        };
    }
    static Mutation forget(std::string name) {
        return [name = std::move(name)](Inventory& inventory, By by) {
            return inventory.delete_machine(name, std::move(by));
        };
    }
    static std::string effects(const Plan& plan) {
        std::string out;
        for (const auto& change : plan.changes) {
            out += (change.before.empty()  ? "+"
                    : change.after.empty() ? "-"
                                           : "~") +
                   change.kind + "/" + change.key + " ";
        }
        return out;
    }
    Plan plan(std::vector<Mutation> mutations) { return run(inventory_->plan(std::move(mutations), by_)).value(); }
    Result<Once> once(std::string key, std::string digest, OnceMutation work) {
        return run(inventory_->once({std::move(key), "Test", std::move(digest)}, std::move(work), by_));
    }
};

TEST_F(PlanTest, SaysWhatWouldBeAddedChangedRemovedAndRefusedAndTouchesNothing) {
    ASSERT_TRUE(put(machine("old", "52:54:00:00:00:01"), "config"));
    ASSERT_TRUE(put(machine("kept", "52:54:00:00:00:02")));
    const auto revision = store_->revision();
    const auto events = events_.events.size();
    const auto made =
        plan({register_machine("new", "52:54:00:00:00:03"), forget("old"),
              register_machine("kept", "52:54:00:00:00:02"), forget("absent"),
              register_machine("twice", "52:54:00:00:00:03"), register_machine("heir", "52:54:00:00:00:01")});
    EXPECT_EQ(effects(made),
              "+machine/heir ~machine/kept +machine/new -machine/old "
              "+machine-config/heir +machine-config/kept +machine-config/new -machine-config/old ");
    ASSERT_EQ(made.refusals.size(), 2U);
    EXPECT_EQ(made.refusals[0].mutation, 3U);
    EXPECT_EQ(made.refusals[0].error.code, Code::kNotFound);
    EXPECT_EQ(made.refusals[1].mutation, 4U);
    EXPECT_EQ(made.refusals[1].error.code, Code::kAlreadyExists) << "a mutation sees those before it";
    for (const auto& change : made.changes) EXPECT_EQ(change.after.find("sealed"), std::string::npos);
    EXPECT_EQ(store_->revision(), revision);
    EXPECT_EQ(events_.events.size(), events);
}

TEST_F(PlanTest, AListIsAppliedAsOneRevisionOrNotAtAll) {
    const auto refused =
        run(inventory_->apply_all({register_machine("a", "52:54:00:00:00:01"), forget("absent")}, by_));
    EXPECT_EQ(refused.error().context, "nothing was done; mutation 2 of 2");
    EXPECT_FALSE(store_->get(kMachineKind, "a").value());
    const auto before = store_->revision();
    const auto events = events_.events.size();
    std::vector<Mutation> all;
    for (int i = 0; i < 100; ++i)
        all.push_back(register_machine(fmt::format("n{}", i), fmt::format("5254000000{:02}", i)));
    const auto done = run(inventory_->apply_all(std::move(all), by_));
    ASSERT_TRUE(done) << done.error().to_string();
    EXPECT_EQ(*done, before + 1);
    EXPECT_EQ(inventory_->machines().value().size(), 100U);
    EXPECT_EQ(events_.events.size(), events + 100U);
    EXPECT_EQ(store_->count(kMachineKind, kTenantIndex, group_prefix("tenant-a")).value(), 100U);
    EXPECT_EQ(run(inventory_->apply_all({}, by_)).error().code, Code::kInvalidArgument);
}

TEST_F(PlanTest, AQuotaCountsWhatIsPlannedToo) {
    auto small = tenant("tenant-a");
    small.machine_quota = 2;
    ASSERT_TRUE(run(inventory_->put_tenant(small, by_)));
    ASSERT_TRUE(put(machine("one", "52:54:00:00:00:01")));
    const auto made =
        plan({register_machine("two", "52:54:00:00:00:02"), register_machine("three", "52:54:00:00:00:03"),
              forget("one"), register_machine("four", "52:54:00:00:00:04")});
    ASSERT_EQ(made.refusals.size(), 1U);
    EXPECT_EQ(made.refusals[0].mutation, 1U);
    EXPECT_EQ(made.refusals[0].error.code, Code::kResourceExhausted);
}

TEST_F(PlanTest, AKeyIsAnsweredAsTheFirstTimeAndTheWorkIsDoneOnce) {
    int runs = 0;
    OnceMutation work = [&](Inventory& inventory, By by) -> Awaitable<Result<std::string>> {
        ++runs;
        auto wanted = machine("node-1", "52:54:00:00:00:01");
        const auto done = co_await inventory.put_machine(std::move(wanted), std::nullopt, std::move(by));
        if (!done) co_return fail(done.error());
        co_return std::string("seventeen");
    };
    const auto first = once("k", "d1", work).value();
    EXPECT_EQ(first.answer, "seventeen");
    ASSERT_TRUE(run(inventory_->set_machine_lock("node-1", true, by_)));
    const auto again = once("k", "d1", work).value();
    EXPECT_EQ(again.revision, first.revision);
    EXPECT_EQ(again.answer, "seventeen");
    EXPECT_EQ(runs, 1);
    EXPECT_EQ(once("k", "d2", work).error().code, Code::kInvalidArgument) << "another request";
    clock_.advance(kIdempotencyAge);
    EXPECT_GT(once("k", "d2", work).value().revision, first.revision) << "a day later it is forgotten";
}

TEST_F(PlanTest, WhatIsRefusedMayBeTriedAgainWithItsKey) {
    OnceMutation forget_it = [](Inventory& inventory, By by) -> Awaitable<Result<std::string>> {
        const auto done = co_await inventory.delete_machine("node-1", std::move(by));
        if (!done) co_return fail(done.error());
        co_return std::string();
    };
    EXPECT_EQ(once("k", "d", forget_it).error().code, Code::kNotFound);
    ASSERT_TRUE(put(machine("node-1", "52:54:00:00:00:01")));
    EXPECT_TRUE(once("k", "d", forget_it));
    EXPECT_TRUE(once("k", "d", forget_it)) << "done already";
    EXPECT_TRUE(inventory_->machines().value().empty());
}

TEST_F(PlanTest, ADraftReadsWhatIsPlannedOverWhatIsThere) {
    for (const auto* name : {"a", "c", "e"}) ASSERT_TRUE(put(machine(name, std::string("02000000000") + name)));
    PlanStore draft(*store_);
    Transaction transaction;
    transaction.deletes.push_back({std::string(kMachineKind), "c"});
    transaction.puts.push_back(put_of(machine("b", "02:00:00:00:00:0c")));
    ASSERT_TRUE(run(draft.commit(std::move(transaction))));
    const auto keys = [&](std::string_view after, std::size_t limit) {
        std::string out;
        const auto records = draft.list(kMachineKind, after, limit).value();
        for (const auto& record : records) out += record.key;
        return out;
    };
    EXPECT_EQ(keys("", 10), "abe");
    EXPECT_EQ(keys("", 2), "ab");
    EXPECT_EQ(keys("a", 10), "be");
    EXPECT_EQ(draft.find(kMachineKind, kMacIndex, "02:00:00:00:00:0c").value()->key, "b") << "it was c's";
    EXPECT_EQ(draft.count(kMachineKind, kTenantIndex, group_prefix("tenant-a")).value(), 3U);
    Transaction clash;
    clash.puts.push_back(put_of(machine("f", "02:00:00:00:00:0a")));
    EXPECT_EQ(run(draft.commit(std::move(clash))).error().code, Code::kAlreadyExists);
    Transaction stale;
    stale.compares.push_back(unchanged(kMachineKind, "c", 1));
    EXPECT_EQ(run(draft.commit(std::move(stale))).error().code, Code::kAborted);
}

}  // namespace
}  // namespace nett::test
