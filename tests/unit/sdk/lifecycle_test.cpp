#include "agent/sdk/lifecycle.hpp"

#include <map>
#include <optional>

#include <gtest/gtest.h>

namespace nett {
namespace {

using S = MachineState;
using E = LifecycleEvent;

const SystemTime kNow{std::chrono::seconds(1000)};

const Cause kOrder{kNow, "unix:root", "asked", false};
const Cause kAutomatic{kNow, "plugin:metadata", "boot served", true};

Machine machine(S state) {
    Machine out;
    out.name = "node-1";
    out.state = state;
    return out;
}

// The whole table, a cell a line; a dash is a refusal.
TEST(Lifecycle, EveryCellOfTheTable) {
    constexpr auto none = std::nullopt;
    const std::map<S, std::map<E, std::optional<S>>> kTable{
        {S::kNew,
         {{E::kBoot, S::kProvisioning},
          {E::kConfirm, S::kActive},
          {E::kReprovision, none},
          {E::kMaintain, S::kMaintenance},
          {E::kDecommission, S::kDecommission},
          {E::kReset, none},
          {E::kDeadline, S::kNew},
          {E::kBootLoop, S::kNew},
          {E::kRelease, S::kNew},
          {E::kErased, none}}},
        {S::kProvisioning,
         {{E::kBoot, S::kProvisioning},
          {E::kConfirm, S::kActive},
          {E::kReprovision, S::kReprovision},
          {E::kMaintain, S::kMaintenance},
          {E::kDecommission, S::kDecommission},
          {E::kReset, S::kNew},
          {E::kDeadline, S::kProvisioning},
          {E::kBootLoop, S::kProvisioning},
          {E::kRelease, S::kProvisioning},
          {E::kErased, none}}},
        {S::kActive,
         {{E::kBoot, S::kActive},
          {E::kConfirm, S::kActive},
          {E::kReprovision, S::kReprovision},
          {E::kMaintain, S::kMaintenance},
          {E::kDecommission, S::kDecommission},
          {E::kReset, none},
          {E::kDeadline, none},
          {E::kBootLoop, none},
          {E::kRelease, none},
          {E::kErased, none}}},
        {S::kReprovision,
         {{E::kBoot, S::kProvisioning},
          {E::kConfirm, S::kActive},
          {E::kReprovision, none},
          {E::kMaintain, S::kMaintenance},
          {E::kDecommission, S::kDecommission},
          {E::kReset, none},
          {E::kDeadline, S::kReprovision},
          {E::kBootLoop, S::kReprovision},
          {E::kRelease, S::kReprovision},
          {E::kErased, none}}},
        {S::kMaintenance,
         {{E::kBoot, S::kMaintenance},
          {E::kConfirm, S::kActive},
          {E::kReprovision, S::kReprovision},
          {E::kMaintain, none},
          {E::kDecommission, S::kDecommission},
          {E::kReset, S::kNew},
          {E::kDeadline, S::kMaintenance},
          {E::kBootLoop, S::kMaintenance},
          {E::kRelease, S::kMaintenance},
          {E::kErased, none}}},
        {S::kDecommission,
         {{E::kBoot, S::kDecommission},
          {E::kConfirm, none},
          {E::kReprovision, none},
          {E::kMaintain, none},
          {E::kDecommission, none},
          {E::kReset, S::kNew},
          {E::kDeadline, S::kDecommission},
          {E::kBootLoop, S::kDecommission},
          {E::kRelease, S::kDecommission},
          {E::kErased, S::kDecommission}}},
    };
    for (const auto& [from, row] : kTable) {
        for (const auto& [event, expected] : row) {
            const auto next = next_state(from, event);
            EXPECT_EQ(next ? std::optional(*next) : std::nullopt, expected)
                << to_string(from) << " event " << static_cast<int>(event);
        }
    }
}

TEST(Lifecycle, DecisionsAreTheDocumentsTable) {
    EXPECT_EQ(boot_decision(machine(S::kNew)), BootKind::kInstall);
    EXPECT_EQ(boot_decision(machine(S::kProvisioning)), BootKind::kInstall);
    EXPECT_EQ(boot_decision(machine(S::kActive)), BootKind::kDisk);
    EXPECT_EQ(boot_decision(machine(S::kMaintenance)), BootKind::kRescue);
    EXPECT_EQ(boot_decision(machine(S::kDecommission)), BootKind::kErase);
}

TEST(Lifecycle, LockedMachinesBootTheirDiskInEveryState) {
    for (const auto state :
         {S::kNew, S::kProvisioning, S::kActive, S::kReprovision, S::kMaintenance, S::kDecommission}) {
        auto locked = machine(state);
        locked.locked = true;
        EXPECT_EQ(boot_decision(locked), BootKind::kDisk);
        EXPECT_FALSE(apply(locked, E::kBoot, kAutomatic));
    }
}

TEST(Lifecycle, ReprovisionServesTheWipeOnceThenInstalls) {
    const auto asked = apply(machine(S::kActive), E::kReprovision, kOrder).value();
    EXPECT_EQ(boot_decision(asked), BootKind::kWipe);
    const auto wiped = apply(asked, E::kBoot, kAutomatic).value();
    EXPECT_EQ(wiped.state, S::kReprovision);
    EXPECT_EQ(boot_decision(wiped), BootKind::kInstall);
    const auto installing = apply(wiped, E::kBoot, kAutomatic).value();
    EXPECT_EQ(installing.state, S::kProvisioning);
    EXPECT_EQ(boot_decision(installing), BootKind::kInstall);
}

TEST(Lifecycle, LeavingReprovisionForgetsTheWipe) {
    const auto asked = apply(machine(S::kActive), E::kReprovision, kOrder).value();
    EXPECT_FALSE(apply(asked, E::kConfirm, kOrder)->wipe_pending);
}

TEST(Lifecycle, StateSinceMovesOnlyWhenTheStateDoes) {
    auto provisioning = machine(S::kProvisioning);
    EXPECT_EQ(apply(provisioning, E::kBoot, kAutomatic)->state_since, SystemTime{});
    EXPECT_EQ(apply(provisioning, E::kConfirm, kOrder)->state_since, kNow);
}

TEST(Lifecycle, EveryChangeOfStateSaysWhoAndWhy) {
    const auto active = apply(machine(S::kProvisioning), E::kConfirm, kOrder).value();
    EXPECT_EQ(active.state_actor, "unix:root");
    EXPECT_EQ(active.state_reason, "asked");
    const auto events = lifecycle_events(machine(S::kProvisioning), active, kOrder);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].type, "machine.state");
    const std::map<std::string, std::string> fields{
        {"machine", "node-1"}, {"from", "provisioning"}, {"to", "active"}, {"actor", "unix:root"}, {"reason", "asked"}};
    EXPECT_EQ(events[0].fields, fields);
}

TEST(Lifecycle, AHeldMachineBootsItsDiskUntilItIsReleasedOrGivenAnotherState) {
    const auto held = apply(machine(S::kProvisioning), E::kBootLoop, {kNow, "nettd", "5 boots", true}).value();
    EXPECT_EQ(held.state, S::kProvisioning);
    EXPECT_EQ(held.hold.reason, "5 boots");
    EXPECT_EQ(held.hold.since, kNow);
    EXPECT_EQ(boot_decision(held), BootKind::kDisk);
    EXPECT_FALSE(apply(held, E::kBoot, kAutomatic));
    EXPECT_EQ(apply(held, E::kDeadline, {kNow, "nettd", "late", true})->hold.reason, "5 boots");
    const auto released = apply(held, E::kRelease, kOrder).value();
    EXPECT_EQ(boot_decision(released), BootKind::kInstall);
    EXPECT_EQ(released.hold.released, kNow);
    EXPECT_FALSE(apply(released, E::kRelease, kOrder)) << "it is not held any more";
    EXPECT_EQ(boot_decision(apply(held, E::kReprovision, kOrder).value()), BootKind::kWipe);
    EXPECT_TRUE(apply(held, E::kConfirm, kAutomatic)->hold.reason.empty()) << "it runs after all";
    EXPECT_EQ(lifecycle_events(held, released, kOrder).at(0).type, "machine.release");
}

TEST(Lifecycle, DecommissionRemembersTheEraseAndItsProof) {
    auto erasing = apply(machine(S::kActive), E::kDecommission, kOrder).value();
    erasing = apply(erasing, E::kBoot, kAutomatic).value();
    EXPECT_EQ(erasing.erase.fetched, kNow);
    const auto later = kNow + std::chrono::hours(1);
    EXPECT_EQ(apply(erasing, E::kBoot, {later, "x", "", true})->erase.fetched, kNow) << "the first time counts";
    const auto done = apply(erasing, E::kErased, {later, "api", "certificate 7", false}).value();
    EXPECT_EQ(done.erase.reported, later);
    EXPECT_EQ(done.erase.proof, "certificate 7");
    EXPECT_EQ(boot_decision(done), BootKind::kErase) << "until the record is deleted";
    EXPECT_EQ(lifecycle_events(erasing, done, kOrder).at(0).fields.at("step"), "reported");
    EXPECT_EQ(apply(done, E::kReset, kOrder)->state, S::kNew);
}

TEST(Lifecycle, DeadlinesCountFromTheStateOrTheLastRelease) {
    Profile profile;
    profile.deadlines = {{S::kProvisioning, std::chrono::seconds(60)}, {S::kActive, std::chrono::seconds(1)}};
    auto late = machine(S::kProvisioning);
    late.state_since = kNow;
    EXPECT_EQ(deadline_of(late, profile), kNow + std::chrono::seconds(60));
    late.hold.released = kNow + std::chrono::seconds(30);
    EXPECT_EQ(deadline_of(late, profile), kNow + std::chrono::seconds(90));
    late.hold.reason = "held already";
    EXPECT_FALSE(deadline_of(late, profile));
    EXPECT_FALSE(deadline_of(machine(S::kNew), profile)) << "the profile has none for it";
    EXPECT_FALSE(deadline_of(machine(S::kActive), profile)) << "nothing happens in Active";
    auto locked = machine(S::kProvisioning);
    locked.locked = true;
    EXPECT_FALSE(deadline_of(locked, profile));
}

TEST(Lifecycle, SoManyNetbootsInSoManyMinutesAreALoop) {
    const BootLoopLimit limit{3, 10};
    const auto minute = std::chrono::minutes(1);
    const auto start = kNow + std::chrono::hours(1);
    BootHistory history;
    for (int i = 0; i < 2; ++i) history = with_boot(history, {start + i * minute, "::1", "netboot"});
    history = with_boot(history, {start + 2 * minute, "::1", "localboot"});
    auto node = machine(S::kProvisioning);
    EXPECT_FALSE(is_boot_loop(history, node, limit, start + 3 * minute)) << "a boot of the disk is none of it";
    history = with_boot(history, {start + 3 * minute, "::1", "netboot"});
    EXPECT_TRUE(is_boot_loop(history, node, limit, start + 4 * minute));
    EXPECT_FALSE(is_boot_loop(history, node, limit, start + 10 * minute)) << "the first is too long ago";
    EXPECT_FALSE(is_boot_loop(history, node, {0, 10}, start + 4 * minute)) << "off";
    node.hold.released = start + 2 * minute;
    EXPECT_FALSE(is_boot_loop(history, node, limit, start + 4 * minute)) << "an order gives all attempts anew";
}

TEST(Lifecycle, TheHistoryIsBoundedAndOrdered) {
    BootHistory history;
    for (int i = 0; i < 40; ++i) history = with_boot(history, {kNow + std::chrono::seconds(i), "::1", "netboot"});
    EXPECT_EQ(history.boots, 40U);
    ASSERT_EQ(history.recent.size(), kBootHistoryLength);
    EXPECT_EQ(history.recent.back(), kNow + std::chrono::seconds(39));
    history = with_boot(history, {kNow, "::2", "refused"});
    EXPECT_EQ(history.last_boot.outcome, "netboot") << "an older one that comes late";
}

TEST(Lifecycle, AnOperatorsStateFindsItsEventOrSaysWhatIsPossible) {
    EXPECT_EQ(event_for(S::kProvisioning, S::kActive).value(), E::kConfirm);
    EXPECT_EQ(event_for(S::kActive, S::kReprovision).value(), E::kReprovision);
    const auto refused = event_for(S::kDecommission, S::kActive);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "a machine in state decommission cannot be set to active; it can be set to new");
}

}  // namespace
}  // namespace nett
