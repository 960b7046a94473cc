// What a boot request does to the machine that asks: profiles, holds, allocations, enrolment.
#include <algorithm>

#include "agent/sdk/port_records.hpp"
#include "plugins/metadata/limits.hpp"
#include "tests/unit/metadata/service_fixture.hpp"

namespace nett::metadata::test {
namespace {

class LifecycleInABoot : public ServiceTest {
protected:
    void add_profile(Profile profile) {
        profile.name = "worker";
        store.put(put_of(profile));
    }
    Machine profiled(MachineState state = MachineState::kNew) const {
        auto machine = node(state);
        machine.profile = "worker";
        return machine;
    }
    void add_set(const std::string& name) {
        ArtifactSet set;
        set.name = name;
        set.kernel = "k";
        set.initramfs = "i";
        set.files = {add_file("k", name + " kernel"), add_file("i", name + " initramfs")};
        store.put(put_of(set));
    }
    void add_pool(const std::string& prefix, unsigned length) {
        PrefixPool pool;
        pool.name = "nodes";
        pool.prefix = Prefix6::parse(prefix).value();
        pool.length = length;
        store.put(put_of(pool));
    }
    void add_rule(AutoEnrolRule rule) {
        Tenant tenant;
        tenant.name = "tenant-a";
        tenant.common_names = {"a.boot.example"};
        tenant.auto_enrol = {std::move(rule)};
        store.put(put_of(tenant));
    }
};

TEST_F(LifecycleInABoot, ProfileGivesSetArgumentsTemplateAndDelivery) {
    add_set("common");
    Profile profile;
    profile.artifact_set = "common";
    profile.kernel_args = "console=ttyS1";
    profile.delivery = ConfigDelivery::kUrl;
    profile.templates["install"] =
        "#!ipxe\n# {{machine}} {{profile}}\nkernel {{artifacts}}/{{kernel}} {{{arguments}}}\nboot\n";
    add_profile(profile);
    auto machine = profiled();
    machine.artifact_set.clear();
    machine.kernel_args = "own=1";
    enrol(machine);
    EXPECT_EQ(boot().body,
              "#!ipxe\n# node-1 worker\nkernel https://[2001:db8:ffff::1]/v1/artifacts/common/k talos.platform=metal "
              "slab_nomerge pti=on console=ttyS1 own=1 "
              "talos.config=https://[2001:db8:ffff::1]/v1/config/4c4c4544-0042-3510-8051-b7c04f4d3432\nboot\n");
    EXPECT_EQ(get(std::string("/v1/config/") + kUuid).status, 200U);
    EXPECT_EQ(get(std::string("/v1/config/") + kUuid + "/config.sqsh").status, 404U);  // not by this delivery
}

TEST_F(LifecycleInABoot, AMachineWhoseProfileIsGoneBootsItsDisk) {
    enrol(profiled());
    EXPECT_EQ(boot().status, 404U);
    EXPECT_EQ(stored().state, MachineState::kNew);
    EXPECT_TRUE(events_.has("machine.refused"));
    EXPECT_EQ(get(std::string("/v1/config/") + kUuid).status, 404U);
}

TEST_F(LifecycleInABoot, ProfilesRescueAndEraseSetsComeFirst) {
    add_set("rescue");
    add_set("erase");
    settings_.rescue_set = "talos";
    settings_.erase_set = "talos";
    service_.set_settings(settings_);
    Profile profile;
    profile.rescue_set = "rescue";
    profile.erase_set = "erase";
    add_profile(profile);
    enrol(profiled(MachineState::kMaintenance));
    EXPECT_NE(boot().body.find("/v1/artifacts/rescue/k"), std::string::npos);
    enrol(profiled(MachineState::kDecommission));
    EXPECT_NE(boot().body.find("/v1/artifacts/erase/k"), std::string::npos);
}

TEST_F(LifecycleInABoot, RecordsThatTheEraseSetWasFetchedBeforeItIsAnswered) {
    settings_.erase_set = "talos";
    service_.set_settings(settings_);
    enrol(node(MachineState::kDecommission));
    store.commit_fault = Error{Code::kUnavailable, "disk full", {}};
    EXPECT_EQ(boot().status, 503U);
    store.commit_fault.reset();
    EXPECT_EQ(stored().erase.fetched, SystemTime{});
    EXPECT_EQ(boot().status, 200U);
    EXPECT_EQ(stored().erase.fetched, clock_.system_now());
    EXPECT_EQ(events_.count("machine.erase"), 1);
    clock_.advance(std::chrono::seconds(60));
    EXPECT_EQ(boot().status, 200U);
    EXPECT_EQ(stored().erase.fetched, clock_.system_now() - std::chrono::seconds(60));
}

TEST_F(LifecycleInABoot, HoldsAMachineThatBootsInALoop) {
    Profile profile;
    profile.boot_loop = {3, 30};
    add_profile(profile);
    enrol(profiled());
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(boot().status, 200U) << i;
        EXPECT_EQ(boot().status, 200U) << "the other NIC in the same boot";
        flush();
        clock_.advance(std::chrono::minutes(2));
    }
    const auto held = boot();
    EXPECT_EQ(held.status, 404U);
    EXPECT_EQ(held.outcome, Outcome::kLocalBoot);
    EXPECT_EQ(stored().hold.reason, "boot loop: it has netbooted 3 times within 30 minutes");
    EXPECT_EQ(stored().state, MachineState::kProvisioning);
    EXPECT_EQ(events_.count("machine.hold"), 1);
    clock_.advance(std::chrono::hours(2));
    EXPECT_EQ(boot().status, 404U) << "until somebody releases it";
    EXPECT_EQ(get(std::string("/v1/config/") + kUuid).status, 404U);
    enrol(apply(stored(), LifecycleEvent::kRelease, {clock_.system_now(), "unix:root", "", false}).value());
    EXPECT_EQ(boot().status, 200U);
}

TEST_F(LifecycleInABoot, AllocatesAPrefixBeforeTheFirstScriptAndKeepsIt) {
    add_pool("2001:db8:17::/56", 64);
    Profile profile;
    profile.templates["install"] = "#!ipxe\nkernel k {{{arguments}}} node.prefix={{prefix}}\n";
    add_profile(profile);
    auto machine = profiled();
    machine.production = {ProductionMode::kPool, "nodes", ""};
    enrol(machine);
    EXPECT_EQ(ask({Method::kHead, std::string("/v1/boot/") + kUuid}, peer_of("a.boot.example")).status, 200U);
    EXPECT_EQ(stored().production.prefix, "");
    store.commit_fault = Error{Code::kUnavailable, "disk full", {}};
    EXPECT_EQ(boot().status, 503U);
    store.commit_fault.reset();
    const auto first = boot();
    const auto prefix = stored().production.prefix;
    EXPECT_TRUE(prefix.starts_with("2001:db8:17")) << prefix;
    EXPECT_NE(first.body.find(" node.prefix=" + prefix + "\n"), std::string::npos) << first.body;
    EXPECT_TRUE(store.get(kAllocationKind, "nodes/node-1").value());
    EXPECT_EQ(boot().body, first.body);
    EXPECT_EQ(stored().production.prefix, prefix);
}

TEST_F(LifecycleInABoot, AnExhaustedPoolIsNamedAndTheMachineBootsItsDisk) {
    add_pool("2001:db8:17::/64", 64);
    for (const auto* name : {"node-1", "node-2"}) {
        auto machine = node();
        machine.name = name;
        machine.uuid = name == std::string("node-1") ? kUuid : "5c4c4544-0042-3510-8051-b7c04f4d3432";
        machine.macs.clear();
        machine.production = {ProductionMode::kPool, "nodes", ""};
        enrol(machine);
    }
    EXPECT_EQ(boot().status, 200U);
    EXPECT_EQ(get("/v1/boot/5c4c4544-0042-3510-8051-b7c04f4d3432").status, 404U);
    const auto refused = std::find_if(events_.events.begin(), events_.events.end(),
                                      [](const auto& one) { return one.type == "machine.refused"; });
    ASSERT_NE(refused, events_.events.end());
    EXPECT_EQ(refused->subject, "node-2");
    EXPECT_NE(refused->message.find("\"nodes\""), std::string::npos) << refused->message;
    EXPECT_EQ(stored("node-2").state, MachineState::kNew);
}

TEST_F(LifecycleInABoot, EnrolsByTheTenantsRuleAndAsksForAConfig) {
    AutoEnrolRule rule;
    rule.mac_prefixes = {"aa:bb:cc"};
    rule.name_pattern = "node-{mac}";
    add_rule(rule);
    EXPECT_EQ(get("/v1/boot/aa-bb-cc-00-00-01").status, 404U);  // known now, and without a config
    const auto machine = stored("node-aabbcc000001");
    EXPECT_EQ(machine.tenant, "tenant-a");
    EXPECT_EQ(machine.macs, std::vector<std::string>{"aa:bb:cc:00:00:01"});
    EXPECT_TRUE(events_.has("machine.registered"));
    flush();
    EXPECT_TRUE(store.list(kUnknownMachineKind).value().empty());
    EXPECT_EQ(get("/v1/boot/aa-bb-cd-00-00-01").status, 404U);
    EXPECT_EQ(ask({Method::kHead, "/v1/boot/aa-bb-cc-00-00-02"}, peer_of("a.boot.example")).status, 404U);
    EXPECT_EQ(get("/v1/boot/aa-bb-cc-00-00-03", peer_of("b.boot.example")).status, 404U);
    flush();
    EXPECT_EQ(store.list(kMachineKind).value().size(), 1U);
    EXPECT_EQ(store.list(kUnknownMachineKind).value().size(), 2U);
}

TEST_F(LifecycleInABoot, EnrolsByThePortThatTheSourceIsBehind) {
    settings_.ports = {{"tor-a/swp7", Prefix6::parse("2001:db8:b000:7::/64").value()}};
    service_.set_settings(settings_);
    AutoEnrolRule rule;
    rule.ports = {"tor-a/swp7"};
    rule.name_pattern = "n-{mac}";
    add_rule(rule);
    get("/v1/boot/aa-bb-cc-00-00-01", peer_of("a.boot.example", "2001:db8:b000:8::5"));
    EXPECT_TRUE(store.list(kMachineKind).value().empty());
    get("/v1/boot/aa-bb-cc-00-00-01");
    EXPECT_EQ(store.list(kMachineKind).value().size(), 1U);
}

TEST_F(LifecycleInABoot, ThePortsThatSwitchesAdvertiseAreKnownByThemselvesAndConfiguredOnesOverrideThem) {
    store.put({std::string(kReportedPortKind), "tor-b/swp7", R"({"prefix":"2001:db8:b000:7::/64"})"});
    AutoEnrolRule rule;
    rule.ports = {"tor-b/*"};
    rule.name_pattern = "n-{mac}";
    add_rule(rule);
    get("/v1/boot/aa-bb-cc-00-00-01");
    EXPECT_EQ(store.list(kMachineKind).value().size(), 1U);
    settings_.ports = {{"tor-a/swp1", Prefix6::parse("2001:db8:b000:7::/64").value()}};
    service_.set_settings(settings_);
    get("/v1/boot/aa-bb-cc-00-00-02");
    EXPECT_EQ(store.list(kMachineKind).value().size(), 1U);
    flush();
    EXPECT_EQ(decode<UnknownMachine>(store.list(kUnknownMachineKind).value()[0].value)->port, "tor-a/swp1");
}

TEST_F(LifecycleInABoot, RecordsWhatAnUnknownMachineSaysAboutItself) {
    settings_.ports = {{"tor-a/swp7", Prefix6::parse("2001:db8:b000:7::/64").value()}};
    service_.set_settings(settings_);
    get("/v1/boot/11111111-2222-3333-4444-555555555555?mac=aa-bb-cc-00-00-01&serial=CZ77");
    get("/v1/boot/11111111-2222-3333-4444-555555555555?mac=aa-bb-cc-00-00-02&serial=Default%20string");
    flush();
    const auto records = store.list(kUnknownMachineKind).value();
    ASSERT_EQ(records.size(), 1U);
    const auto seen = decode<UnknownMachine>(records[0].value).value();
    EXPECT_EQ(seen.uuid, "11111111-2222-3333-4444-555555555555");
    EXPECT_EQ(seen.macs, (std::vector<std::string>{"aa:bb:cc:00:00:02", "aa:bb:cc:00:00:01"}));
    EXPECT_EQ(seen.serial, "CZ77");
    EXPECT_EQ(seen.port, "tor-a/swp7");
    EXPECT_EQ(seen.requests, 2U);
    // Another tenant's clients learn nothing from it, not even that it was there before.
    get("/v1/boot/11111111-2222-3333-4444-555555555555", peer_of("b.boot.example"));
    flush();
    const auto both = store.list(kUnknownMachineKind).value();
    ASSERT_EQ(both.size(), 2U);
    EXPECT_EQ(both[0].value, records[0].value) << "nor do they take it over";
    const auto other = decode<UnknownMachine>(both[1].value).value();
    EXPECT_EQ(other.tenant, "tenant-b");
    EXPECT_TRUE(other.macs.empty());
    EXPECT_EQ(other.requests, 1U);
}

TEST_F(LifecycleInABoot, SaysThatTheConfigWasHandedOver) {
    enrol(node(MachineState::kProvisioning));
    const std::string config = std::string("/v1/config/") + kUuid;
    get(config + "/extensions.yaml");
    ask({Method::kHead, config + "/config.sqsh"}, peer_of("a.boot.example"));
    EXPECT_FALSE(events_.has("machine.config"));
    get(config + "/config.sqsh");
    EXPECT_EQ(events_.count("machine.config"), 1);
}

TEST_F(LifecycleInABoot, FindsByTheSerialNumberLast) {
    auto machine = node();
    machine.uuid.clear();
    machine.macs = {kMac};
    machine.serial = "CZ 77";
    enrol(machine);
    const auto answer = get("/v1/boot?uuid=&mac=&serial=CZ%2077");
    EXPECT_EQ(answer.status, 200U);
    EXPECT_NE(answer.body.find("/v1/config/52-54-00-12-34-56/"), std::string::npos);
    EXPECT_EQ(get("/v1/boot?serial=CZ78").status, 404U);
}

}  // namespace
}  // namespace nett::metadata::test
