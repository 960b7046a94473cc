// Profiles, pools, holds, confirmations, and what the agent does by itself.
#include "agent/core/inventory/lifecycle_service.hpp"
#include "agent/sdk/prefixes.hpp"
#include "tests/unit/inventory/inventory_fixture.hpp"

namespace nett::test {
namespace {

using S = MachineState;

class LifecycleTest : public InventoryTest {
protected:
    LifecycleTest() {
        put_tenant("tenant-a");
        EXPECT_TRUE(put(machine("node-1", "52:54:00:00:00:01")));
    }
    ~LifecycleTest() override {
        if (service_) run(stopped());
    }
    Awaitable<bool> stopped() {
        co_await service_->stop();
        co_return true;
    }

    void start() {
        service_ = std::make_unique<LifecycleService>(loop_.get_executor(), *store_, *inventory_, bus_, clock_);
        service_->start();
        settle();
    }
    // Until nothing is to be done but to wait for the clock. The store answers commits in order, so two fences that
    // follow each other say that nobody had anything to write after the first.
    void settle() {
        Revision last = 0;
        for (Revision now = fence(); now != last + 1; now = fence()) last = now;
    }
    Revision fence() {
        loop_.restart();
        loop_.poll();
        Transaction transaction;
        transaction.puts.push_back({"fence", "test", "{}"});
        return run(store_->commit(std::move(transaction))).value();
    }
    // Makes the service look at the clock.
    void tick() {
        Profile nobodys;
        nobodys.name = "nobodys";
        nobodys.kernel_args = std::to_string(++ticks_);
        commit(put_of(nobodys));
        settle();
    }
    void commit(Transaction::Put put) {
        Transaction transaction;
        transaction.puts.push_back(std::move(put));
        ASSERT_TRUE(run(store_->commit(std::move(transaction))));
    }
    Machine node(const std::string& name = "node-1") { return inventory_->machine(name).value().value; }
    void set(S state) { ASSERT_TRUE(run(inventory_->set_machine_state("node-1", state, by_))); }
    void change(const std::function<void(Machine&)>& edit) {
        auto value = node();
        edit(value);
        commit(put_of(value));
    }
    void use_profile(const std::function<void(Profile&)>& edit) {
        Profile profile;
        profile.name = "worker";
        edit(profile);
        const auto done = run(inventory_->put_profile(profile, by_));
        ASSERT_TRUE(done) << done.error().to_string();
        auto wanted = machine("node-1", "52:54:00:00:00:01");
        wanted.profile = "worker";
        ASSERT_TRUE(put(wanted));
    }

    // Delivers at once.
    class Bus final : public EventBus {
    public:
        void publish(Event event) override {
            if (handler) handler(event);
        }
        [[nodiscard]] Subscription subscribe(std::string, Handler subscriber) override {
            handler = std::move(subscriber);
            return {};
        }
        Handler handler;
    };
    Bus bus_;
    std::unique_ptr<LifecycleService> service_;
    std::uint64_t ticks_ = 0;
};

TEST_F(LifecycleTest, AMachineThatIsLateIsHeldAndTheEventSaysWhoAndWhy) {
    use_profile([](Profile& profile) { profile.deadlines = {{S::kProvisioning, std::chrono::seconds(60)}}; });
    change([&](Machine& value) {
        value.state = S::kProvisioning;
        value.state_since = clock_.system_now();
    });
    start();
    EXPECT_EQ(service_->deadlines(), 1U);
    clock_.advance(std::chrono::seconds(59));
    tick();
    EXPECT_EQ(node().hold.reason, "");
    clock_.advance(std::chrono::seconds(2));
    tick();
    EXPECT_EQ(node().hold.reason, "in state provisioning for longer than 60 s");
    EXPECT_EQ(boot_decision(node()), BootKind::kDisk);
    const auto& event = events_.events.back();
    EXPECT_EQ(event.type, "machine.hold");
    EXPECT_EQ(event.fields.at("actor"), "nettd");
    EXPECT_EQ(service_->deadlines(), 0U);
    ASSERT_TRUE(run(inventory_->release_machine("node-1", by_)));
    settle();
    EXPECT_EQ(node().hold.reason, "");
    EXPECT_EQ(service_->deadlines(), 1U) << "it has its time anew";
}

TEST_F(LifecycleTest, AChangedProfileChangesTheDeadlines) {
    use_profile([](Profile& profile) { profile.deadlines.clear(); });
    change([&](Machine& value) {
        value.state = S::kMaintenance;
        value.state_since = clock_.system_now();
    });
    start();
    EXPECT_EQ(service_->deadlines(), 0U);
    use_profile([](Profile& profile) { profile.deadlines = {{S::kMaintenance, std::chrono::seconds(5)}}; });
    settle();
    EXPECT_EQ(service_->deadlines(), 1U);
    clock_.advance(std::chrono::seconds(6));
    tick();
    EXPECT_EQ(node().hold.reason, "in state maintenance for longer than 5 s");
}

TEST_F(LifecycleTest, TheFabricConfirmsAMachineByItsPrefix) {
    use_profile([](Profile& profile) { profile.confirm = ConfirmBy::kFabric; });
    change([](Machine& value) {
        value.state = S::kProvisioning;
        value.production = {ProductionMode::kStatic, "", "2001:db8:f::/64"};
        value.ports = {{"tor-a/swp7", Prefix6::parse("2001:db8:b000:7::/64").value()}};
    });
    start();
    const auto see = [&](std::string prefix, std::string port, std::string state) {
        bus_.publish({"fabric.prefix", prefix, "", {{"prefix", prefix}, {"port", port}, {"state", state}}});
        settle();
    };
    see("2001:db8:f:1::/64", "tor-a/swp7", "up");
    see("2001:db8:f::/64", "tor-a/swp7", "down");
    see("2001:db8:f::/64", "tor-a/swp8", "up");
    EXPECT_EQ(node().state, S::kProvisioning) << "another prefix, not there, another port";
    see("2001:db8:f::/64", "tor-a/swp7", "up");
    EXPECT_EQ(node().state, S::kActive);
    EXPECT_EQ(node().state_actor, "nettd");
    EXPECT_EQ(node().state_reason, "2001:db8:f::/64 is seen at tor-a/swp7");
    set(S::kReprovision);
    see("2001:db8:f::/64", "tor-a/swp7", "up");
    EXPECT_EQ(node().state, S::kReprovision) << "the old system still announces it";
}

TEST_F(LifecycleTest, AConfirmationThatTheProfileDoesNotAskForChangesNothing) {
    change([](Machine& value) { value.state = S::kProvisioning; });
    start();
    bus_.publish({"machine.config", "node-1", "", {}});
    settle();
    EXPECT_EQ(node().state, S::kProvisioning);
    use_profile([](Profile& profile) { profile.confirm = ConfirmBy::kConfigFetched; });
    bus_.publish({"machine.config", "node-1", "", {}});
    settle();
    EXPECT_EQ(node().state, S::kActive);
}

TEST_F(LifecycleTest, DecommissioningGivesThePrefixBackAndRecordsTheProof) {
    PrefixPool pool{"nodes", "", Prefix6::parse("2001:db8:f::/63").value(), 64};
    ASSERT_TRUE(run(inventory_->put_prefix_pool(pool, by_)));
    auto wanted = machine("node-1", "52:54:00:00:00:01");
    wanted.production = {ProductionMode::kPool, "nodes", ""};
    ASSERT_TRUE(put(wanted));
    Transaction first_boot;
    auto booted = node();
    ASSERT_TRUE(allocate_prefix(*store_, booted, clock_.system_now(), first_boot));
    first_boot.puts.push_back(put_of(booted));
    ASSERT_TRUE(run(store_->commit(std::move(first_boot))));
    ASSERT_TRUE(put(wanted));
    EXPECT_EQ(node().production.prefix, booted.production.prefix) << "registering again keeps it";
    EXPECT_EQ(inventory_->prefix_pools().value().front().allocated, 1U);
    EXPECT_EQ(inventory_->allocations("nodes").value().front().value.machine, "node-1");
    EXPECT_NE(run(inventory_->delete_prefix_pool("nodes", by_)).error().message.find("1 prefixes of pool"),
              std::string::npos);
    EXPECT_EQ(run(inventory_->report_erased("node-1", "x", by_)).error().code, Code::kFailedPrecondition);
    set(S::kDecommission);
    EXPECT_EQ(node().production.prefix, "");
    EXPECT_EQ(inventory_->prefix_pools().value().front().allocated, 0U);
    ASSERT_TRUE(run(inventory_->report_erased("node-1", "certificate 7", by_)));
    EXPECT_EQ(node().erase.proof, "certificate 7");
    EXPECT_EQ(events_.events.back().fields.at("step"), "reported");
}

TEST_F(LifecycleTest, ProfilesAndPoolsAreKeptAsLongAsTheyAreUsed) {
    use_profile([](Profile&) {});
    EXPECT_EQ(run(inventory_->delete_profile("", "worker", by_)).error().message,
              "machine \"node-1\" has profile \"worker\"; give it another one first");
    Profile own;
    own.tenant = "tenant-a";
    own.name = "worker";
    ASSERT_TRUE(run(inventory_->put_profile(own, by_)));
    EXPECT_TRUE(run(inventory_->delete_profile("", "worker", by_))) << "the tenant's own one counts";
    auto wanted = machine("node-2", "52:54:00:00:00:02");
    wanted.profile = "none";
    EXPECT_EQ(put(wanted).error().code, Code::kNotFound);
    const auto bad = [&](const std::function<void(Profile&)>& edit) {
        Profile profile;
        profile.name = "bad";
        edit(profile);
        return run(inventory_->put_profile(profile, by_)).error().code;
    };
    EXPECT_EQ(bad([](Profile& p) { p.templates["install"] = "no script"; }), Code::kInvalidArgument);
    EXPECT_EQ(bad([](Profile& p) { p.deadlines[S::kActive] = std::chrono::seconds(1); }), Code::kInvalidArgument);
    EXPECT_EQ(bad([](Profile& p) { p.boot_loop = {99, 5}; }), Code::kInvalidArgument);
    EXPECT_EQ(bad([](Profile& p) { p.rescue_set = "absent"; }), Code::kNotFound);
    PrefixPool pool{"nodes", "", Prefix6::parse("2001:db8:f::/48").value(), 64};
    ASSERT_TRUE(run(inventory_->put_prefix_pool(pool, by_)));
    pool.name = "other";
    EXPECT_EQ(run(inventory_->put_prefix_pool(pool, by_)).error().code, Code::kAlreadyExists) << "they overlap";
    pool.length = 40;
    EXPECT_EQ(run(inventory_->put_prefix_pool(pool, by_)).error().code, Code::kInvalidArgument);
}

TEST_F(LifecycleTest, AStaticPrefixHasOneMachine) {
    auto first = machine("node-1", "52:54:00:00:00:01");
    first.production = {ProductionMode::kStatic, "", "2001:db8:f::/64"};
    ASSERT_TRUE(put(first));
    auto second = machine("node-2", "52:54:00:00:00:02");
    second.production = first.production;
    EXPECT_EQ(put(second).error().message, "2001:db8:f::/64 is machine \"node-1\"'s already");
    second.production.prefix = "2001:db8:f::1/64";
    EXPECT_EQ(put(second).error().code, Code::kInvalidArgument) << "host bits";
}

TEST_F(LifecycleTest, AnUnknownMachineIsAcceptedWithAllThatItSaid) {
    UnknownMachine seen;
    seen.id = "4c4c4544-0042-3510-8051-b7c04f4d3432";
    seen.tenant = "tenant-a";
    seen.macs = {"52:54:00:00:00:09"};
    seen.serial = "S9";
    commit(put_of(seen));
    ASSERT_TRUE(run(inventory_->accept_unknown_machine("4C4C4544-0042-3510-8051-B7C04F4D3432", "node-9", by_)));
    EXPECT_EQ(node("node-9").uuid, seen.id);
    EXPECT_EQ(node("node-9").macs, seen.macs);
    EXPECT_EQ(node("node-9").serial, "S9");
    EXPECT_TRUE(inventory_->unknown_machines().value().empty());
}

}  // namespace
}  // namespace nett::test
