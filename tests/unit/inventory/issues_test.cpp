// Every cause that `show machine issues` names, and machines without one.
#include "agent/core/inventory/issues.hpp"
#include "tests/unit/inventory/inventory_fixture.hpp"

namespace nett::test {
namespace {

using std::chrono::minutes;

// A machine that is new, asked a minute ago, and lacks nothing.
IssueFacts sound() {
    IssueFacts facts;
    facts.now = SystemTime(std::chrono::hours(1000));
    auto& machine = facts.machine.value;
    machine = test::machine("node-1", "52:54:00:aa:00:01");
    machine.artifact_set = "talos";
    machine.config_sha256 = "x";
    machine.state_since = facts.now - minutes(5);
    facts.tenant = test::tenant("tenant-a");
    facts.profile = Profile{};
    facts.set_name = "talos";
    facts.set = ArtifactSet{};
    return facts;
}

std::vector<std::string> issues(const IssueFacts& facts) {
    std::vector<std::string> out;
    for (const auto& issue : find_issues(facts)) {
        EXPECT_NE(issue.cause, "") << issue.issue;
        EXPECT_NE(issue.remedy, "") << issue.issue;
        out.push_back(issue.issue);
    }
    return out;
}

using Words = std::vector<std::string>;

TEST(MachineIssues, SoundMachineHasNone) {
    EXPECT_EQ(issues(sound()), Words{});
}

TEST(MachineIssues, ActiveMachineNeedsNothingOfANetboot) {
    auto facts = sound();
    facts.machine.value.state = MachineState::kActive;
    facts.machine.value.locked = true;
    facts.tenant.reset();
    facts.set.reset();
    facts.set_name.clear();
    EXPECT_EQ(issues(facts), Words{});
}

TEST(MachineIssues, HeldWhateverItsState) {
    for (const auto state : {MachineState::kActive, MachineState::kProvisioning}) {
        auto facts = sound();
        facts.machine.value.state = state;
        facts.machine.value.hold.reason = "boot loop: it has netbooted 5 times within 30 minutes";
        const auto found = find_issues(facts);
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].issue, "held");
        EXPECT_NE(found[0].cause.find("boot loop"), std::string::npos);
        EXPECT_NE(found[0].remedy.find("\"machine node-1 release\""), std::string::npos);
    }
}

TEST(MachineIssues, Locked) {
    auto facts = sound();
    facts.machine.value.locked = true;
    EXPECT_EQ(issues(facts), Words{"locked"});
}

TEST(MachineIssues, JobThatWaitsForAnOperator) {
    auto facts = sound();
    facts.job = Job{};
    facts.job->id = "7";
    facts.job->state = "NEEDS_OPERATOR";
    EXPECT_EQ(issues(facts), Words{"job-needs-operator"});
    facts.job->acknowledged = true;
    EXPECT_EQ(issues(facts), Words{});
    facts.job->state = "FAILED";
    EXPECT_EQ(issues(facts), Words{"job-failed"});
    facts.job->state = "DONE";
    EXPECT_EQ(issues(facts), Words{});
}

TEST(MachineIssues, TenantThatIsNotThereOrHasNoCertificates) {
    auto facts = sound();
    facts.tenant->common_name_suffixes.clear();
    EXPECT_EQ(issues(facts), Words{"tenant-without-certificates"});
    facts.tenant.reset();
    EXPECT_EQ(issues(facts), Words{"no-tenant"});
}

TEST(MachineIssues, NothingToKnowItBy) {
    auto facts = sound();
    facts.machine.value.macs.clear();
    EXPECT_EQ(issues(facts), Words{"no-identity"});
    facts.machine.value.uuid = "6e657474-0000-4000-8000-00000000c001";
    EXPECT_EQ(issues(facts), Words{});
}

TEST(MachineIssues, AsksAsSomebodyElse) {
    auto facts = sound();
    facts.stranger = UnknownMachine{};
    facts.stranger->id = "6e657474-0000-4000-8000-00000000c009";
    EXPECT_EQ(issues(facts), Words{"other-identity"});
}

TEST(MachineIssues, ProfileSetAndFilesThatAreNotThere) {
    auto facts = sound();
    facts.missing = {"vmlinuz"};
    EXPECT_EQ(issues(facts), Words{"file-missing"});
    facts.missing.clear();
    facts.set.reset();
    EXPECT_EQ(issues(facts), Words{"unknown-artifact-set"});
    facts.set_name.clear();
    EXPECT_EQ(issues(facts), Words{"no-artifact-set"});
    facts.set_needed = false;
    facts.profile.reset();
    EXPECT_EQ(issues(facts), Words{"no-profile"});
}

TEST(MachineIssues, NoConfigWhereItIsInstalled) {
    auto facts = sound();
    facts.machine.value.config_sha256.clear();
    EXPECT_EQ(issues(facts), Words{"no-config"});
    facts.machine.value.state = MachineState::kMaintenance;
    EXPECT_EQ(issues(facts), Words{});
}

TEST(MachineIssues, PoolWithNothingLeft) {
    auto facts = sound();
    auto& production = facts.machine.value.production;
    production.mode = ProductionMode::kPool;
    production.pool = "p";
    facts.pool = PoolView{};
    facts.pool->allocated = facts.pool->capacity = 4;
    EXPECT_EQ(issues(facts), Words{"pool-exhausted"});
    production.prefix = "2001:db8:f::/64";
    EXPECT_EQ(issues(facts), Words{});
}

TEST(MachineIssues, NeverAskedOnlyAfterSomeTime) {
    auto facts = sound();
    facts.machine.value.state_since = facts.now - kBootPatience;
    EXPECT_EQ(issues(facts), Words{"never-asked"});
    facts.machine.value.state_since = facts.now - kBootPatience + std::chrono::seconds(1);
    EXPECT_EQ(issues(facts), Words{});
}

TEST(MachineIssues, SilentSinceTheOrder) {
    auto facts = sound();
    facts.machine.value.state = MachineState::kReprovision;
    facts.machine.value.state_since = facts.now - kBootPatience;
    facts.machine.boots.boots = 3;
    facts.machine.boots.last_boot.time = facts.now - std::chrono::hours(5);
    EXPECT_EQ(issues(facts), Words{"silent"});
    facts.machine.boots.last_boot.time = facts.now;
    EXPECT_EQ(issues(facts), Words{});
}

TEST(MachineIssues, BootedAndNobodySaysThatItRuns) {
    auto facts = sound();
    facts.machine.value.state = MachineState::kProvisioning;
    facts.machine.value.state_since = facts.now - kBootPatience;
    facts.machine.boots.boots = 1;
    facts.machine.boots.last_boot.time = facts.now - minutes(14);
    EXPECT_EQ(issues(facts), Words{"not-confirmed"});
}

TEST(MachineIssues, EraseThatNobodyReported) {
    auto facts = sound();
    facts.machine.value.state = MachineState::kDecommission;
    facts.machine.boots.boots = 1;
    facts.machine.boots.last_boot.time = facts.now;
    facts.machine.value.erase.fetched = facts.now - kBootPatience;
    EXPECT_EQ(issues(facts), Words{"erase-not-reported"});
    facts.machine.value.erase.reported = facts.now;
    EXPECT_EQ(issues(facts), Words{});
}

class GatheredFacts : public InventoryTest {
protected:
    std::vector<std::string> issues_of(const std::string& name) {
        const auto facts = gather_facts(*inventory_, inventory_->machine_view(name).value(), clock_.system_now());
        EXPECT_TRUE(facts) << facts.error().to_string();
        return issues(*facts);
    }
};

TEST_F(GatheredFacts, AreThoseOfTheInventory) {
    put_tenant("tenant-a");
    ASSERT_TRUE(run(inventory_->put_artifact_set(artifact_set("talos"), by_)));
    auto node = machine("node-1", "52:54:00:aa:00:01");
    node.artifact_set = "talos";
    ASSERT_TRUE(put(node, "config"));
    EXPECT_EQ(issues_of("node-1"), Words{});
    const auto kernel = inventory_->artifact_files().path_of(store_file("kernel"));
    std::filesystem::remove(kernel);
    EXPECT_EQ(issues_of("node-1"), Words{"file-missing"});
    ASSERT_TRUE(put(machine("node-2", "52:54:00:aa:00:02")));
    EXPECT_EQ(issues_of("node-2"), (Words{"no-artifact-set", "no-config"}));
    clock_.advance(kBootPatience);
    EXPECT_EQ(issues_of("node-2"), (Words{"no-artifact-set", "no-config", "never-asked"}));
}

}  // namespace
}  // namespace nett::test
