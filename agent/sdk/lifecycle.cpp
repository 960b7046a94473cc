#include "agent/sdk/lifecycle.hpp"

#include <array>
#include <utility>

namespace nett {

namespace {

using S = MachineState;
using E = LifecycleEvent;

struct Transition {
    S from;
    E event;
    S to;
};

// Every transition there is. What is not here is refused.
constexpr std::array kTransitions{
    Transition{S::kNew, E::kBoot, S::kProvisioning},
    Transition{S::kNew, E::kConfirm, S::kActive},
    Transition{S::kNew, E::kMaintain, S::kMaintenance},
    Transition{S::kNew, E::kDecommission, S::kDecommission},
    Transition{S::kProvisioning, E::kBoot, S::kProvisioning},
    Transition{S::kProvisioning, E::kConfirm, S::kActive},
    Transition{S::kProvisioning, E::kReprovision, S::kReprovision},
    Transition{S::kProvisioning, E::kMaintain, S::kMaintenance},
    Transition{S::kProvisioning, E::kDecommission, S::kDecommission},
    Transition{S::kProvisioning, E::kReset, S::kNew},
    Transition{S::kActive, E::kBoot, S::kActive},
    Transition{S::kActive, E::kConfirm, S::kActive},
    Transition{S::kActive, E::kReprovision, S::kReprovision},
    Transition{S::kActive, E::kMaintain, S::kMaintenance},
    Transition{S::kActive, E::kDecommission, S::kDecommission},
    Transition{S::kReprovision, E::kBoot, S::kProvisioning},
    Transition{S::kReprovision, E::kConfirm, S::kActive},
    Transition{S::kReprovision, E::kMaintain, S::kMaintenance},
    Transition{S::kReprovision, E::kDecommission, S::kDecommission},
    Transition{S::kMaintenance, E::kBoot, S::kMaintenance},
    Transition{S::kMaintenance, E::kConfirm, S::kActive},
    Transition{S::kMaintenance, E::kReprovision, S::kReprovision},
    Transition{S::kMaintenance, E::kDecommission, S::kDecommission},
    Transition{S::kMaintenance, E::kReset, S::kNew},
    Transition{S::kDecommission, E::kBoot, S::kDecommission},
    Transition{S::kDecommission, E::kReset, S::kNew},
};

std::string_view name_of(E event) {
    switch (event) {
        case E::kBoot:
            return "boot";
        case E::kConfirm:
            return "confirm";
        case E::kReprovision:
            return "reprovision";
        case E::kMaintain:
            return "maintain";
        case E::kDecommission:
            return "decommission";
        case E::kReset:
            return "reset";
    }
    return "";
}

const Transition* find(S from, E event) {
    for (const auto& transition : kTransitions) {
        if (transition.from == from && transition.event == event) return &transition;
    }
    return nullptr;
}

}  // namespace

BootKind boot_decision(const Machine& machine) {
    if (machine.locked) return BootKind::kDisk;
    switch (machine.state) {
        case S::kNew:
        case S::kProvisioning:
            return BootKind::kInstall;
        case S::kActive:
            return BootKind::kDisk;
        // The wipe reboots the machine; the request after it installs.
        case S::kReprovision:
            return machine.wipe_pending ? BootKind::kWipe : BootKind::kInstall;
        case S::kMaintenance:
            return BootKind::kRescue;
        case S::kDecommission:
            return BootKind::kErase;
    }
    return BootKind::kDisk;
}

Result<MachineState> next_state(MachineState state, LifecycleEvent event) {
    if (const auto* transition = find(state, event)) return transition->to;
    std::string allowed;
    for (const auto& transition : kTransitions) {
        if (transition.from == state) allowed += (allowed.empty() ? "" : ", ") + std::string(name_of(transition.event));
    }
    return fail(Code::kFailedPrecondition, "a machine in state {} has no \"{}\"; it has {}", to_string(state),
                name_of(event), allowed);
}

Result<LifecycleEvent> event_for(MachineState from, MachineState to) {
    // What an operator asks for by naming a state; boots are the machine's own.
    constexpr std::array kByOperator{E::kConfirm, E::kReprovision, E::kMaintain, E::kDecommission, E::kReset};
    std::string reachable;
    for (const auto event : kByOperator) {
        const auto* transition = find(from, event);
        if (transition == nullptr) continue;
        if (transition->to == to) return event;
        reachable += (reachable.empty() ? "" : ", ") + std::string(to_string(transition->to));
    }
    return fail(Code::kFailedPrecondition, "a machine in state {} cannot be set to {}; it can be set to {}",
                to_string(from), to_string(to), reachable);
}

Result<Machine> apply(Machine machine, LifecycleEvent event, SystemTime now, bool by_automation) {
    if (machine.locked && by_automation) {
        return fail(Code::kFailedPrecondition, "machine \"{}\" is locked; \"machine {} unlock\" lifts it", machine.name,
                    machine.name);
    }
    auto next = next_state(machine.state, event);
    if (!next) return fail(std::move(next.error()));
    if (event == E::kBoot && machine.state == S::kReprovision && machine.wipe_pending) {
        machine.wipe_pending = false;  // this boot serves the wipe; the next one installs
        return machine;
    }
    if (event == E::kReprovision) machine.wipe_pending = true;
    if (*next != S::kReprovision) machine.wipe_pending = false;
    if (*next != machine.state) machine.state_since = now;
    machine.state = *next;
    return machine;
}

}  // namespace nett
