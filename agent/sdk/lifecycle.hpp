// A machine's lifecycle as a pure table: what a state boots, and which event leads where. Seed document, section 4.4.
//
//   state         boots       by event
//   New           netboot     boot → Provisioning
//   Provisioning  netboot     confirmed → Active
//   Active        disk        reprovision, maintain, decommission
//   Reprovision   netboot     boot: the wipe is served once, then it installs → Provisioning
//   Maintenance   netboot     confirmed → Active
//   Decommission  netboot     boots the erase set until the record is deleted
// Disk is the safe default: locked and held machines and everything unknown boot their disk. docs/lifecycle.md has the
// whole table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/event.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

enum class BootKind { kDisk, kInstall, kWipe, kRescue, kErase };
// "localboot", "install", "wipe", "rescue", "erase"; all but the first name a profile's template.
std::string_view to_string(BootKind kind);

// What a machine in this state is served. Pure.
BootKind boot_decision(const Machine& machine);

enum class LifecycleEvent {
    kBoot,          // a boot script was served
    kConfirm,       // the compute layer, the fabric or the operator says that it runs
    kReprovision,   // wipe and reinstall
    kMaintain,      // boot the rescue set
    kDecommission,  // erase
    kReset,         // back to New
    kDeadline,      // it was in its state for too long: held
    kBootLoop,      // it netbooted too often: held
    kRelease,       // the hold is lifted
    kErased,        // somebody reported that the disks are erased
};
std::string_view to_string(LifecycleEvent event);

// The next state, or kFailedPrecondition with the events that this state allows. Pure.
Result<MachineState> next_state(MachineState state, LifecycleEvent event);

// The event that leads from `from` to the state an operator names; kFailedPrecondition when no single event does.
Result<LifecycleEvent> event_for(MachineState from, MachineState to);

// Who lets an event happen, why and when.
struct Cause {
    SystemTime when{};
    std::string actor;         // "unix:root", "plugin:metadata"
    std::string reason;        // one line; kDeadline, kBootLoop: the hold's; kErased: the proof
    bool automation = false;   // nobody asked for it: refused on a locked machine
    std::string boot_id = {};  // of the boot request that it follows from
};

// Applies the event to a machine: its state with who, why and when, wipe_pending, hold, erase. Pure.
// kFailedPrecondition: the table has no such transition; it is locked and this is automation; it is held and this is a
// boot; it is not held and this is a release.
Result<Machine> apply(Machine machine, LifecycleEvent event, const Cause& cause);

// What to tell the rest once `after` is durable, oldest first: "machine.state" {machine, from, to, actor, reason},
// "machine.hold" and "machine.release" {machine, actor, reason}, "machine.wipe", "machine.erase" {machine, actor, step
// fetched|reported, reason}. Empty when nothing of it changed.
std::vector<Event> lifecycle_events(const Machine& before, const Machine& after, const Cause& cause);

// When a machine will have been in its state for too long; nullopt: it has no deadline, or is held or locked already.
std::optional<SystemTime> deadline_of(const Machine& machine, const Profile& profile);

// Whether one more netboot now would be the loop that the limit means. Netboots before the last order (a release, a
// state that somebody asked for) do not count.
bool is_boot_loop(const BootHistory& history, const Machine& machine, const BootLoopLimit& limit, SystemTime now);

// Counts a boot request into the history.
BootHistory with_boot(BootHistory history, BootRecord boot);

}  // namespace nett
