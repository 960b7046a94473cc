#include "agent/sdk/lifecycle.hpp"

#include <algorithm>
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
    Transition{S::kNew, E::kDeadline, S::kNew},
    Transition{S::kNew, E::kBootLoop, S::kNew},
    Transition{S::kNew, E::kRelease, S::kNew},
    Transition{S::kProvisioning, E::kBoot, S::kProvisioning},
    Transition{S::kProvisioning, E::kConfirm, S::kActive},
    Transition{S::kProvisioning, E::kReprovision, S::kReprovision},
    Transition{S::kProvisioning, E::kMaintain, S::kMaintenance},
    Transition{S::kProvisioning, E::kDecommission, S::kDecommission},
    Transition{S::kProvisioning, E::kReset, S::kNew},
    Transition{S::kProvisioning, E::kDeadline, S::kProvisioning},
    Transition{S::kProvisioning, E::kBootLoop, S::kProvisioning},
    Transition{S::kProvisioning, E::kRelease, S::kProvisioning},
    Transition{S::kActive, E::kBoot, S::kActive},
    Transition{S::kActive, E::kConfirm, S::kActive},
    Transition{S::kActive, E::kReprovision, S::kReprovision},
    Transition{S::kActive, E::kMaintain, S::kMaintenance},
    Transition{S::kActive, E::kDecommission, S::kDecommission},
    Transition{S::kReprovision, E::kBoot, S::kProvisioning},
    Transition{S::kReprovision, E::kConfirm, S::kActive},
    Transition{S::kReprovision, E::kMaintain, S::kMaintenance},
    Transition{S::kReprovision, E::kDecommission, S::kDecommission},
    Transition{S::kReprovision, E::kDeadline, S::kReprovision},
    Transition{S::kReprovision, E::kBootLoop, S::kReprovision},
    Transition{S::kReprovision, E::kRelease, S::kReprovision},
    Transition{S::kMaintenance, E::kBoot, S::kMaintenance},
    Transition{S::kMaintenance, E::kConfirm, S::kActive},
    Transition{S::kMaintenance, E::kReprovision, S::kReprovision},
    Transition{S::kMaintenance, E::kDecommission, S::kDecommission},
    Transition{S::kMaintenance, E::kReset, S::kNew},
    Transition{S::kMaintenance, E::kDeadline, S::kMaintenance},
    Transition{S::kMaintenance, E::kBootLoop, S::kMaintenance},
    Transition{S::kMaintenance, E::kRelease, S::kMaintenance},
    Transition{S::kDecommission, E::kBoot, S::kDecommission},
    Transition{S::kDecommission, E::kReset, S::kNew},
    Transition{S::kDecommission, E::kDeadline, S::kDecommission},
    Transition{S::kDecommission, E::kBootLoop, S::kDecommission},
    Transition{S::kDecommission, E::kRelease, S::kDecommission},
    Transition{S::kDecommission, E::kErased, S::kDecommission},
};

const Transition* find(S from, E event) {
    for (const auto& transition : kTransitions) {
        if (transition.from == from && transition.event == event) return &transition;
    }
    return nullptr;
}

bool is_held(const Machine& machine) {
    return !machine.hold.reason.empty();
}

Result<void> check_allowed(const Machine& machine, E event, const Cause& cause) {
    if (machine.locked && cause.automation) {
        return fail(Code::kFailedPrecondition, "machine \"{}\" is locked; \"machine {} unlock\" lifts it", machine.name,
                    machine.name);
    }
    if (event == E::kBoot && is_held(machine)) {
        return fail(Code::kFailedPrecondition, "machine \"{}\" is held: {}; \"machine {} release\" lifts it",
                    machine.name, machine.hold.reason, machine.name);
    }
    if (event == E::kRelease && !is_held(machine)) {
        return fail(Code::kFailedPrecondition, "machine \"{}\" is not held", machine.name);
    }
    return {};
}

void hold(Machine& machine, const Cause& cause) {
    if (is_held(machine)) return;  // the first reason stays
    machine.hold.reason = cause.reason.empty() ? "no reason given" : cause.reason;
    machine.hold.since = cause.when;
}

void release(Machine& machine, const Cause& cause) {
    machine.hold = {};
    machine.hold.released = cause.when;
}

void enter(Machine& machine, S state, E event, const Cause& cause) {
    if (event == E::kReprovision) machine.wipe_pending = true;
    if (state != S::kReprovision) machine.wipe_pending = false;
    if (event == E::kDecommission) machine.erase = {};
    if (state == machine.state) return;
    machine.state = state;
    machine.state_since = cause.when;
    machine.state_actor = cause.actor;
    machine.state_reason = cause.reason;
    // A hold is about the state that was left, and who gives an order wants all its attempts.
    if (is_held(machine) || !cause.automation) release(machine, cause);
}

}  // namespace

std::string_view to_string(BootKind kind) {
    switch (kind) {
        case BootKind::kDisk:
            return "localboot";
        case BootKind::kInstall:
            return "install";
        case BootKind::kWipe:
            return "wipe";
        case BootKind::kRescue:
            return "rescue";
        case BootKind::kErase:
            return "erase";
    }
    return "";
}

std::string_view to_string(LifecycleEvent event) {
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
        case E::kDeadline:
            return "deadline";
        case E::kBootLoop:
            return "boot-loop";
        case E::kRelease:
            return "release";
        case E::kErased:
            return "erased";
    }
    return "";
}

BootKind boot_decision(const Machine& machine) {
    if (machine.locked || is_held(machine)) return BootKind::kDisk;
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
        if (transition.from == state)
            allowed += (allowed.empty() ? "" : ", ") + std::string(to_string(transition.event));
    }
    return fail(Code::kFailedPrecondition, "a machine in state {} has no \"{}\"; it has {}", to_string(state),
                to_string(event), allowed);
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

Result<Machine> apply(Machine machine, LifecycleEvent event, const Cause& cause) {
    NETT_TRY(check_allowed(machine, event, cause));
    auto next = next_state(machine.state, event);
    if (!next) return fail(std::move(next.error()));
    switch (event) {
        case E::kBoot:
            if (machine.state == S::kReprovision && machine.wipe_pending) {
                machine.wipe_pending = false;  // this boot serves the wipe; the next one installs
                return machine;
            }
            if (machine.state == S::kDecommission && machine.erase.fetched == SystemTime{}) {
                machine.erase.fetched = cause.when;
            }
            break;
        case E::kDeadline:
        case E::kBootLoop:
            hold(machine, cause);
            return machine;
        case E::kRelease:
            release(machine, cause);
            return machine;
        case E::kErased:
            machine.erase.reported = cause.when;
            machine.erase.proof = cause.reason;
            return machine;
        default:
            break;
    }
    enter(machine, *next, event, cause);
    return machine;
}

std::vector<Event> lifecycle_events(const Machine& before, const Machine& after, const Cause& cause) {
    std::vector<Event> events;
    const auto add = [&](const char* type, std::string message, std::map<std::string, std::string> fields) {
        fields["machine"] = after.name;
        fields["actor"] = cause.actor;
        if (!cause.reason.empty()) fields["reason"] = cause.reason;
        if (!cause.boot_id.empty()) fields["boot_id"] = cause.boot_id;
        Event event;
        event.type = type;
        event.subject = after.name;
        event.message = std::move(message);
        event.fields = std::move(fields);
        events.push_back(std::move(event));
    };
    if (before.wipe_pending && !after.wipe_pending && after.state == S::kReprovision) {
        add("machine.wipe", "the wipe was served", {});
    }
    if (before.state != after.state) {
        const std::string from(to_string(before.state));
        const std::string to(to_string(after.state));
        add("machine.state", from + " → " + to, {{"from", from}, {"to", to}});
    }
    if (!is_held(before) && is_held(after)) add("machine.hold", after.hold.reason, {});
    if (is_held(before) && !is_held(after)) add("machine.release", "boots as its state says again", {});
    if (before.erase.fetched != after.erase.fetched && after.erase.fetched != SystemTime{}) {
        add("machine.erase", "the erase set was served", {{"step", "fetched"}});
    }
    if (before.erase.reported != after.erase.reported && after.erase.reported != SystemTime{}) {
        add("machine.erase", "the disks are reported erased", {{"step", "reported"}});
    }
    return events;
}

std::optional<SystemTime> deadline_of(const Machine& machine, const Profile& profile) {
    if (machine.locked || is_held(machine) || machine.state == S::kActive) return std::nullopt;
    const auto limit = profile.deadlines.find(machine.state);
    if (limit == profile.deadlines.end() || limit->second.count() <= 0) return std::nullopt;
    return std::max(machine.state_since, machine.hold.released) + limit->second;
}

bool is_boot_loop(const BootHistory& history, const Machine& machine, const BootLoopLimit& limit, SystemTime now) {
    if (limit.boots == 0) return false;
    const auto since = std::max(now - std::chrono::minutes(limit.minutes), machine.hold.released);
    const auto counted =
        std::count_if(history.recent.begin(), history.recent.end(), [&](SystemTime time) { return time > since; });
    return counted >= static_cast<std::ptrdiff_t>(limit.boots);
}

BootHistory with_boot(BootHistory history, BootRecord boot) {
    ++history.boots;
    if (boot.outcome == "netboot") {
        history.recent.push_back(boot.time);
        if (history.recent.size() > kBootHistoryLength) history.recent.erase(history.recent.begin());
    }
    if (boot.time >= history.last_boot.time) history.last_boot = std::move(boot);
    return history;
}

}  // namespace nett
