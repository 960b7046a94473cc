#include "agent/sdk/lifecycle.hpp"

#include <map>
#include <optional>

#include <gtest/gtest.h>

namespace nett {
namespace {

using S = MachineState;
using E = LifecycleEvent;

const SystemTime kNow{std::chrono::seconds(1000)};

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
          {E::kReset, none}}},
        {S::kProvisioning,
         {{E::kBoot, S::kProvisioning},
          {E::kConfirm, S::kActive},
          {E::kReprovision, S::kReprovision},
          {E::kMaintain, S::kMaintenance},
          {E::kDecommission, S::kDecommission},
          {E::kReset, S::kNew}}},
        {S::kActive,
         {{E::kBoot, S::kActive},
          {E::kConfirm, S::kActive},
          {E::kReprovision, S::kReprovision},
          {E::kMaintain, S::kMaintenance},
          {E::kDecommission, S::kDecommission},
          {E::kReset, none}}},
        {S::kReprovision,
         {{E::kBoot, S::kProvisioning},
          {E::kConfirm, S::kActive},
          {E::kReprovision, none},
          {E::kMaintain, S::kMaintenance},
          {E::kDecommission, S::kDecommission},
          {E::kReset, none}}},
        {S::kMaintenance,
         {{E::kBoot, S::kMaintenance},
          {E::kConfirm, S::kActive},
          {E::kReprovision, S::kReprovision},
          {E::kMaintain, none},
          {E::kDecommission, S::kDecommission},
          {E::kReset, S::kNew}}},
        {S::kDecommission,
         {{E::kBoot, S::kDecommission},
          {E::kConfirm, none},
          {E::kReprovision, none},
          {E::kMaintain, none},
          {E::kDecommission, none},
          {E::kReset, S::kNew}}},
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
        EXPECT_FALSE(apply(locked, E::kBoot, kNow, true));
    }
}

TEST(Lifecycle, ReprovisionServesTheWipeOnceThenInstalls) {
    const auto asked = apply(machine(S::kActive), E::kReprovision, kNow, false).value();
    EXPECT_EQ(boot_decision(asked), BootKind::kWipe);
    const auto wiped = apply(asked, E::kBoot, kNow, true).value();
    EXPECT_EQ(wiped.state, S::kReprovision);
    EXPECT_EQ(boot_decision(wiped), BootKind::kInstall);
    const auto installing = apply(wiped, E::kBoot, kNow, true).value();
    EXPECT_EQ(installing.state, S::kProvisioning);
    EXPECT_EQ(boot_decision(installing), BootKind::kInstall);
}

TEST(Lifecycle, LeavingReprovisionForgetsTheWipe) {
    const auto asked = apply(machine(S::kActive), E::kReprovision, kNow, false).value();
    EXPECT_FALSE(apply(asked, E::kConfirm, kNow, false)->wipe_pending);
}

TEST(Lifecycle, StateSinceMovesOnlyWhenTheStateDoes) {
    auto provisioning = machine(S::kProvisioning);
    EXPECT_EQ(apply(provisioning, E::kBoot, kNow, true)->state_since, SystemTime{});
    EXPECT_EQ(apply(provisioning, E::kConfirm, kNow, false)->state_since, kNow);
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
