// Production prefixes out of pools, and tenants' rules that enrol unknown machines.
#include "agent/sdk/prefixes.hpp"

#include <optional>
#include <set>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/sdk/enrol.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett {
namespace {

const SystemTime kNow{std::chrono::seconds(1000)};

PrefixPool pool(std::string prefix, unsigned length) {
    return {"nodes", "", Prefix6::parse(prefix).value(), length};
}

Machine node(std::string name) {
    Machine out;
    out.name = std::move(name);
    out.tenant = "a";
    out.production = {ProductionMode::kPool, "nodes", ""};
    return out;
}

const IsTaken kNothingTaken = [](const Prefix6&) -> Result<bool> { return false; };

TEST(PrefixPools, OneMachineIsGivenTheSamePrefixAgain) {
    const auto nodes = pool("2001:db8:f::/48", 64);
    const auto first = next_free(nodes, "node-1", kNothingTaken).value();
    EXPECT_EQ(first.length(), 64U);
    EXPECT_TRUE(nodes.prefix.contains(first));
    EXPECT_EQ(next_free(nodes, "node-1", kNothingTaken).value(), first);
    EXPECT_FALSE(next_free(nodes, "node-2", kNothingTaken).value() == first);
}

TEST(PrefixPools, EveryPrefixIsGivenOnceAndThenThePoolIsNamed) {
    const auto nodes = pool("2001:db8:f::/62", 64);
    std::set<Prefix6> given;
    const IsTaken taken = [&](const Prefix6& prefix) -> Result<bool> { return given.contains(prefix); };
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(given.insert(next_free(nodes, std::to_string(i), taken).value()).second);
    const auto none = next_free(nodes, "fifth", taken);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::kResourceExhausted);
    EXPECT_NE(none.error().message.find("prefix pool \"nodes\" is exhausted: all 4 /64 of 2001:db8:f::/62"),
              std::string::npos)
        << none.error().message;
}

TEST(PrefixPools, TheSubnetRouterAnycastAddressIsNobodys) {
    const auto nodes = pool("2001:db8::/127", 128);
    EXPECT_EQ(capacity_of(nodes), 1U);
    EXPECT_EQ(next_free(nodes, "x", kNothingTaken)->to_string(), "2001:db8::1/128");
    EXPECT_EQ(capacity_of(pool("2001:db8::/64", 64)), 1U) << "but a pool may be one prefix";
}

class AllocationTest : public testing::Test {
protected:
    Result<Machine> boot(Machine machine) {
        Transaction transaction;
        auto done = allocate_prefix(store, machine, kNow, transaction);
        if (!done) return fail(std::move(done.error()));
        for (auto& put : transaction.puts) store.put(std::move(put));
        store.put(put_of(machine));
        return machine;
    }
    test::MemoryStore store;
};

TEST_F(AllocationTest, ThePrefixIsTheMachinesUntilItIsGivenBack) {
    store.put(put_of(pool("2001:db8:f::/63", 64)));
    const auto first = boot(node("node-1")).value();
    EXPECT_EQ(boot(first)->production.prefix, first.production.prefix) << "a second boot changes nothing";
    const auto second = boot(node("node-2")).value();
    EXPECT_NE(second.production.prefix, first.production.prefix);
    EXPECT_EQ(boot(node("node-3")).error().code, Code::kResourceExhausted);
    auto gone = first;
    Transaction transaction;
    release_prefix(gone, transaction);
    EXPECT_EQ(gone.production.prefix, "");
    ASSERT_EQ(transaction.deletes.size(), 1U);
    EXPECT_EQ(transaction.deletes[0].key, "nodes/node-1");
}

TEST_F(AllocationTest, WhatAMachineHasByHandIsNotGivenToAnother) {
    store.put(put_of(pool("2001:db8:f::/63", 64)));
    auto fixed = node("by-hand");
    fixed.production = {ProductionMode::kStatic, "",
                        next_free(pool("2001:db8:f::/63", 64), "node-1", kNothingTaken)->to_string()};
    store.put(put_of(fixed));
    EXPECT_NE(boot(node("node-1"))->production.prefix, fixed.production.prefix);
}

TEST_F(AllocationTest, APoolOfAnotherTenantGivesNothing) {
    auto foreign = pool("2001:db8:f::/63", 64);
    foreign.tenant = "b";
    store.put(put_of(foreign));
    EXPECT_EQ(boot(node("node-1")).error().code, Code::kFailedPrecondition);
    EXPECT_TRUE(boot(Machine{})) << "a machine without a pool needs none";
}

UnknownMachine seen(std::string mac, std::string port = "") {
    UnknownMachine out;
    out.id = mac;
    out.tenant = "a";
    out.macs = {std::move(mac)};
    out.port = std::move(port);
    return out;
}

Tenant with_rules(std::vector<AutoEnrolRule> rules) {
    Tenant out;
    out.name = "a";
    out.auto_enrol = std::move(rules);
    return out;
}

TEST(AutoEnrol, CriteriaThatAreGivenMustAllFit) {
    const auto tenant = with_rules({{{"tor-a/*"}, {}, {"52:54:00:"}, "worker", "w-{mac}"}});
    EXPECT_NE(matching_rule(tenant, seen("52:54:00:00:00:01", "tor-a/swp7")), nullptr);
    EXPECT_EQ(matching_rule(tenant, seen("52:54:00:00:00:01", "tor-b/swp7")), nullptr);
    EXPECT_EQ(matching_rule(tenant, seen("52:54:00:00:00:01")), nullptr) << "its port is not known";
    EXPECT_EQ(matching_rule(tenant, seen("02:00:00:00:00:01", "tor-a/swp7")), nullptr);
    EXPECT_EQ(matching_rule(with_rules({{}}), seen("52:54:00:00:00:01")), nullptr) << "no criterion fits nobody";
}

TEST(AutoEnrol, TheFirstRuleThatFitsNamesTheMachine) {
    auto tenant = with_rules({{{}, {"u-1"}, {}, "one", "u-{uuid}"}, {{}, {}, {"52:"}, "two", "node-{mac}-{port}"}});
    const auto machine = seen("52:54:00:00:00:01", "tor-a/swp7");
    const auto* rule = matching_rule(tenant, machine);
    ASSERT_NE(rule, nullptr);
    const auto enrolled = enrolled_machine(tenant, *rule, machine).value();
    EXPECT_EQ(enrolled.name, "node-525400000001-tor-a-swp7");
    EXPECT_EQ(enrolled.profile, "two");
    EXPECT_EQ(enrolled.state, MachineState::kNew);
    const auto nameless = enrolled_machine(tenant, tenant.auto_enrol[1], seen("52:54:00:00:00:01"));
    EXPECT_EQ(nameless.error().code, Code::kInvalidArgument) << "{port} is not known";
}

class EnrolTest : public testing::Test {
protected:
    class Events final : public EventBus {
    public:
        void publish(Event event) override { events.push_back(std::move(event)); }
        [[nodiscard]] Subscription subscribe(std::string, Handler) override { return {}; }
        std::vector<Event> events;
    };
    Result<std::optional<Stored<Machine>>> enrol(const std::string& mac) {
        std::optional<Result<std::optional<Stored<Machine>>>> result;
        asio::co_spawn(loop_, auto_enrol(store, events_, clock_, seen(mac), "plugin:metadata"),
                       [&](std::exception_ptr, auto done) { result = std::move(done); });
        loop_.restart();
        loop_.run();
        return std::move(*result);
    }
    test::MemoryStore store;
    asio::io_context loop_;
    ManualClock clock_;
    Events events_;
};

TEST_F(EnrolTest, RegistersInOneTransactionAndKeepsTheQuota) {
    auto tenant = with_rules({{{}, {}, {"52:54:00:"}, "worker", "node-{mac}"}});
    tenant.machine_quota = 1;
    store.put(put_of(tenant));
    Profile worker;
    worker.name = "worker";
    worker.prefix_pool = "nodes";
    store.put(put_of(worker));
    store.put(put_of(seen("52:54:00:00:00:01")));
    EXPECT_FALSE(enrol("02:00:00:00:00:01").value()) << "no rule fits";
    const auto done = enrol("52:54:00:00:00:01").value();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->value.production.pool, "nodes");
    EXPECT_TRUE(store.get(kMachineKind, "node-525400000001").value());
    EXPECT_FALSE(store.get(kUnknownMachineKind, unknown_machine_key("a", "52:54:00:00:00:01")).value())
        << "it is not unknown any more";
    ASSERT_EQ(events_.events.size(), 1U);
    EXPECT_EQ(events_.events[0].type, "machine.registered");
    EXPECT_EQ(enrol("52:54:00:00:00:02").error().message, "tenant \"a\" has 1 machines, its quota is 1");
}

}  // namespace
}  // namespace nett
