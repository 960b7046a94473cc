#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/strings.hpp"
#include "tests/unit/inventory/inventory_fixture.hpp"

namespace nett::test {
namespace {

constexpr const char* kUuid = "4c4c4544-0042-3510-8051-b7c04f4d3432";
constexpr const char* kMac = "52:54:00:00:00:01";

TEST_F(InventoryTest, RegistersAMachineInCanonicalForm) {
    put_tenant("tenant-a");
    auto wanted = machine("node-1", "52-54-00-AA-BB-01");
    wanted.uuid = "4C4C4544-0042-3510-8051-B7C04F4D3432";
    ASSERT_TRUE(put(wanted, "machine: config\n"));
    const auto stored = inventory_->machine("node-1").value();
    EXPECT_EQ(stored.value.uuid, kUuid);
    EXPECT_EQ(stored.value.macs, std::vector<std::string>{"52:54:00:aa:bb:01"});
    EXPECT_EQ(stored.value.state, MachineState::kNew);
    EXPECT_EQ(stored.value.state_since, clock_.system_now());
    EXPECT_EQ(stored.value.config_sha256, sha256_hex("machine: config\n"));
    EXPECT_EQ(stored.value.config_size, 16U);
    const auto config = decode<MachineConfig>(store_->get(kMachineConfigKind, "node-1").value()->value).value();
    EXPECT_EQ(secrets_->open(config.sealed, "machine/node-1/config").value(), "machine: config\n");
    EXPECT_EQ(config.sha256, stored.value.config_sha256);
    EXPECT_EQ(store_->find(kMachineKind, kUuidIndex, kUuid).value().value().key, "node-1");
    ASSERT_EQ(events_.events.size(), 1U);
    EXPECT_EQ(events_.events[0].type, "machine.registered");
    EXPECT_EQ(store_->changes(0, 10).value().back().actor, "unix:root");
}

TEST_F(InventoryTest, RegisteringAgainKeepsStateBootsAndConfig) {
    put_tenant("tenant-a");
    ASSERT_TRUE(put(machine("node-1", kMac), "config"));
    ASSERT_TRUE(run(inventory_->set_machine_state("node-1", MachineState::kActive, by_)));
    ASSERT_TRUE(run(inventory_->set_machine_lock("node-1", true, by_)));
    auto again = machine("node-1", kMac);
    again.kernel_args = "console=ttyS0";
    again.state = MachineState::kDecommission;  // not a registration's to say
    ASSERT_TRUE(put(again));
    auto stored = inventory_->machine("node-1").value().value;
    EXPECT_EQ(stored.kernel_args, "console=ttyS0");
    EXPECT_EQ(stored.state, MachineState::kActive);
    EXPECT_TRUE(stored.locked);
    EXPECT_EQ(stored.config_sha256, sha256_hex("config"));
    ASSERT_TRUE(put(again, ""));
    stored = inventory_->machine("node-1").value().value;
    EXPECT_FALSE(store_->get(kMachineConfigKind, "node-1").value());
    EXPECT_TRUE(stored.config_sha256.empty());
}

TEST_F(InventoryTest, DuplicateIdentityNamesTheOtherMachine) {
    put_tenant("tenant-a");
    auto first = machine("node-1", kMac);
    first.uuid = kUuid;
    ASSERT_TRUE(put(first));
    const auto same_mac = put(machine("node-2", "52540000 0001"));
    EXPECT_EQ(same_mac.error().code, Code::kInvalidArgument);
    const auto taken = put(machine("node-2", "525400000001"));
    EXPECT_EQ(taken.error().code, Code::kAlreadyExists);
    EXPECT_EQ(taken.error().message,
              "machine \"node-1\" has MAC address 52:54:00:00:00:01 already; delete it or change it first");
    auto same_uuid = machine("node-2", "52:54:00:00:00:02");
    same_uuid.uuid = kUuid;
    EXPECT_EQ(put(same_uuid).error().code, Code::kAlreadyExists);
    EXPECT_FALSE(inventory_->machine("node-2"));
    // A machine may change its own.
    EXPECT_TRUE(put(machine("node-1", "52:54:00:00:00:09")));
    EXPECT_TRUE(put(machine("node-2", kMac)));
}

TEST_F(InventoryTest, RefusesWhatARegistrationMayNotBe) {
    put_tenant("tenant-a");
    const auto refused = [&](auto change) {
        auto wanted = machine("node-1", kMac);
        change(wanted);
        const auto result = put(wanted);
        return result ? "(accepted)" : result.error().to_string();
    };
    const auto contains = [](const std::string& text, std::string_view part) {
        EXPECT_NE(text.find(part), std::string::npos) << text;
    };
    contains(refused([](Machine& m) { m.name = "Node-1"; }), "is not a name for a machine");
    contains(refused([](Machine& m) { m.name = ""; }), "is not a name for a machine");
    contains(refused([](Machine& m) { m.name = std::string(64, 'a'); }), "is not a name for a machine");
    contains(refused([](Machine& m) { m.name = "../etc"; }), "is not a name for a machine");
    contains(refused([](Machine& m) { m.name = "provision"; }), "is a word of the shell");
    contains(refused([](Machine& m) { m.tenant = "tenant-b"; }), "no tenant \"tenant-b\"");
    contains(refused([](Machine& m) { m.uuid = "not-a-uuid"; }), "is not a UUID");
    contains(refused([](Machine& m) { m.uuid = "00000000-0000-0000-0000-000000000000"; }), "shared by many machines");
    contains(refused([](Machine& m) { m.macs = {"52:54"}; }), "is not a MAC address");
    contains(refused([](Machine& m) { m.macs = {}; }), "needs a UUID or a MAC address");
    contains(refused([](Machine& m) { m.artifact_set = "talos-9"; }), "no artifact set \"talos-9\"");
    contains(refused([](Machine& m) { m.kernel_args = "a\nb"; }), "printable ASCII on one line");
    contains(refused([](Machine& m) { m.kernel_args = "x=${net0/mac}"; }), "iPXE would expand it");
    contains(refused([](Machine& m) {
                 m.ports = {{"swp7", Prefix6::parse("2001:db8::/64").value()}};
             }),
             "is not a port");
    contains(refused([](Machine& m) {
                 m.ports = {{"tor-a/swp7", Prefix6::parse("2001:db8::/56").value()}};
             }),
             "/64 (SLAAC)");
    contains(refused([](Machine& m) {
                 m.ports = {{"tor-a/swp7", Prefix6()}, {"tor-a/swp7", Prefix6()}};
             }),
             "is there twice");
    contains(refused([](Machine& m) { m.serial = std::string(300, 'x'); }), "at most 256 fit");
    EXPECT_FALSE(put(machine("node-1", kMac), std::string(kMaxConfigSize + 1, 'x')));
    EXPECT_TRUE(inventory_->machines().value().empty());
}

TEST_F(InventoryTest, StateChangesFollowTheLifecycleAndAreToldOnce) {
    put_tenant("tenant-a");
    ASSERT_TRUE(put(machine("node-1", kMac)));
    events_.events.clear();
    ASSERT_TRUE(run(inventory_->set_machine_state("node-1", MachineState::kActive, by_)));
    clock_.advance(std::chrono::minutes(5));
    ASSERT_TRUE(run(inventory_->set_machine_state("node-1", MachineState::kReprovision, by_)));
    const auto before = store_->revision();
    ASSERT_TRUE(run(inventory_->set_machine_state("node-1", MachineState::kReprovision, by_)));
    EXPECT_EQ(store_->revision(), before) << "nothing to change";
    const auto stored = inventory_->machine("node-1").value().value;
    EXPECT_EQ(stored.state_since, clock_.system_now());
    EXPECT_TRUE(stored.wipe_pending);
    ASSERT_EQ(events_.events.size(), 2U);
    const auto& event = events_.events[1];
    EXPECT_EQ(event.type, "machine.state");
    EXPECT_EQ(event.subject, "node-1");
    EXPECT_EQ(event.fields.at("from"), "active");
    EXPECT_EQ(event.fields.at("to"), "reprovision");
    EXPECT_EQ(event.fields.at("actor"), "unix:root");
    EXPECT_EQ(event.fields.at("reason"), "test");
    const auto impossible = run(inventory_->set_machine_state("node-1", MachineState::kNew, by_));
    EXPECT_EQ(impossible.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(run(inventory_->set_machine_state("node-9", MachineState::kActive, by_)).error().code, Code::kNotFound);
}

TEST_F(InventoryTest, TenantWithMachinesStays) {
    put_tenant("tenant-a");
    ASSERT_TRUE(put(machine("node-1", kMac)));
    const auto refused = run(inventory_->delete_tenant("tenant-a", by_));
    EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    ASSERT_TRUE(run(inventory_->delete_machine("node-1", by_)));
    EXPECT_TRUE(run(inventory_->delete_tenant("tenant-a", by_)));
    EXPECT_EQ(run(inventory_->delete_tenant("tenant-a", by_)).error().code, Code::kNotFound);
    EXPECT_EQ(run(inventory_->delete_machine("node-1", by_)).error().code, Code::kNotFound);
}

// Asked at the same time, either the machine is registered or its tenant is gone, never both.
TEST_F(InventoryTest, ConcurrentRegistrationAndDeletionLeaveNoOrphan) {
    put_tenant("tenant-a");
    std::vector<bool> results;
    const auto note = [&](const std::exception_ptr&, const Result<Revision>& result) {
        results.push_back(result.has_value());
    };
    asio::co_spawn(loop_, inventory_->put_machine(machine("node-1", kMac), std::nullopt, by_), note);
    asio::co_spawn(loop_, inventory_->delete_tenant("tenant-a", by_), note);
    asio::co_spawn(loop_, inventory_->put_machine(machine("node-2", "52:54:00:00:00:02"), std::nullopt, by_), note);
    loop_.restart();
    loop_.run();
    EXPECT_EQ(results, (std::vector<bool>{true, false, true}));
    EXPECT_EQ(inventory_->tenants().value().size(), 1U);
}

TEST_F(InventoryTest, QuotaHoldsForConcurrentRegistrations) {
    auto small = tenant("tenant-a");
    small.machine_quota = 3;
    ASSERT_TRUE(run(inventory_->put_tenant(small, by_)));
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < 8; ++i) {
        asio::co_spawn(loop_,
                       inventory_->put_machine(machine(fmt::format("node-{}", i), fmt::format("52540000000{}", i)),
                                               std::nullopt, by_),
                       [&](const std::exception_ptr&, const Result<Revision>& result) {
                           ++(result ? accepted : refused);
                           EXPECT_TRUE(result || result.error().code == Code::kResourceExhausted);
                       });
    }
    loop_.restart();
    loop_.run();
    EXPECT_EQ(accepted, 3);
    EXPECT_EQ(refused, 5);
    EXPECT_TRUE(put(machine("node-0", "525400000000"))) << "a member may be registered again";
}

TEST_F(InventoryTest, TwoTenantsCannotClaimOneSubject) {
    put_tenant("tenant-a");
    auto other = tenant("tenant-b");
    other.common_name_suffixes.push_back("tenant-a.boot.example");
    EXPECT_EQ(run(inventory_->put_tenant(other, by_)).error().code, Code::kAlreadyExists);
    Tenant nobody;
    nobody.name = "tenant-c";
    EXPECT_EQ(run(inventory_->put_tenant(nobody, by_)).error().code, Code::kInvalidArgument);
}

TEST_F(InventoryTest, UnknownMachineIsAcceptedUnderAName) {
    put_tenant("tenant-a");
    UnknownMachine unknown;
    unknown.id = kMac;
    unknown.tenant = "tenant-a";
    Transaction seen;
    seen.puts.push_back(put_of(unknown));
    ASSERT_TRUE(run(store_->commit(seen)));
    EXPECT_EQ(inventory_->unknown_machines().value().size(), 1U);
    ASSERT_TRUE(run(inventory_->accept_unknown_machine("52-54-00-00-00-01", "node-1", by_)));
    EXPECT_TRUE(inventory_->unknown_machines().value().empty());
    EXPECT_EQ(inventory_->machine("node-1").value().value.macs, std::vector<std::string>{kMac});
    EXPECT_EQ(run(inventory_->accept_unknown_machine(kMac, "node-2", by_)).error().code, Code::kNotFound);
}

TEST_F(InventoryTest, WhatOneTenantsClientsSayAboutAnIdIsNotAnothers) {
    put_tenant("tenant-a");
    put_tenant("tenant-b");
    Transaction seen;
    for (const auto* tenant : {"tenant-a", "tenant-b"}) {
        UnknownMachine unknown;
        unknown.id = kMac;
        unknown.tenant = tenant;
        unknown.serial = tenant;
        seen.puts.push_back(put_of(unknown));
    }
    ASSERT_TRUE(run(store_->commit(seen)));
    EXPECT_EQ(inventory_->unknown_machines().value().size(), 2U);
    const auto either = run(inventory_->accept_unknown_machine(kMac, "node-1", by_));
    EXPECT_EQ(either.error().code, Code::kFailedPrecondition);
    EXPECT_NE(either.error().message.find("\"tenant-a/52:54:00:00:00:01\""), std::string::npos)
        << either.error().message;
    ASSERT_TRUE(run(inventory_->accept_unknown_machine("tenant-b/52-54-00-00-00-01", "node-1", by_)));
    EXPECT_EQ(inventory_->machine("node-1").value().value.serial, "tenant-b");
    const auto left = inventory_->unknown_machines().value();
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].value.tenant, "tenant-a");
}

TEST_F(InventoryTest, ListsInPages) {
    put_tenant("tenant-a");
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(put(machine(fmt::format("node-{}", i), fmt::format("52540000000{}", i))));
    const auto page = inventory_->machines("node-1", 2).value();
    ASSERT_EQ(page.size(), 2U);
    EXPECT_EQ(page[0].value.name, "node-2");
    EXPECT_EQ(page[1].value.name, "node-3");
}

}  // namespace
}  // namespace nett::test
