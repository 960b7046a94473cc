// A machine's lifecycle as a pure table: what a state boots, and which event leads where. Seed document, section 4.4.
//
//   state         boots       by event
//   New           netboot     boot → Provisioning
//   Provisioning  netboot     confirmed → Active
//   Active        disk        reprovision, maintain, decommission
//   Reprovision   netboot     boot: the wipe is served once, then it installs → Provisioning
//   Maintenance   netboot     confirmed → Active
//   Decommission  netboot     boots the erase set until the record is deleted
// Disk is the safe default: locked machines and everything unknown boot their disk.
#pragma once

#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

enum class BootKind { kDisk, kInstall, kWipe, kRescue, kErase };

// What a machine in this state is served. Pure.
BootKind boot_decision(const Machine& machine);

enum class LifecycleEvent {
    kBoot,          // a boot script was served
    kConfirm,       // the compute layer, the fabric or the operator says that it runs
    kReprovision,   // wipe and reinstall
    kMaintain,      // boot the rescue set
    kDecommission,  // erase
    kReset,         // back to New
};

// The next state, or kFailedPrecondition with the events that this state allows. Pure.
Result<MachineState> next_state(MachineState state, LifecycleEvent event);

// The event that leads from `from` to the state an operator names; kFailedPrecondition when no single event does.
Result<LifecycleEvent> event_for(MachineState from, MachineState to);

// Applies the event to a machine: state, state_since, wipe_pending. `by_automation` is refused on a locked machine.
Result<Machine> apply(Machine machine, LifecycleEvent event, SystemTime now, bool by_automation);

}  // namespace nett
