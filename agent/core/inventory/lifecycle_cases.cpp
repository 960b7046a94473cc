// Inventory's use cases that move a machine through its lifecycle: what is ordered, and what the agent does by itself.
#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/prefixes.hpp"

namespace nett {

namespace {

constexpr const char* kAgent = "nettd";

// Of the boot that a confirmation is about.
std::string last_boot_id(const Store& store, const std::string& machine) {
    const auto history = read_record<BootHistory>(store, kBootHistoryKind, machine);
    return history && *history ? (*history)->value.last_boot.boot_id : std::string();
}

}  // namespace

// Applies what `decide` says of the machine as it is now, and tells the rest once it is durable.
Awaitable<Result<Revision>> Inventory::change_state(std::string name, std::string what, By by, Decide decide) {
    std::vector<Event> events;
    Build build = [this, &name, &events, &by, &decide]() -> Result<Transaction> {
        auto found = machine(name);
        if (!found) return fail(std::move(found.error()));
        events.clear();
        Transaction transaction;
        Cause cause{clock_.system_now(), by.actor, by.reason, by.actor == kAgent};
        const auto event = decide(found->value, cause);
        if (!event) return fail(event.error());
        transaction.compares.push_back(unchanged(kMachineKind, name, found->revision));
        // Nothing to do, as this copy has it: where servers share their state, only the comparison tells whether it is
        // so.
        if (!*event) return transaction;
        if (**event == LifecycleEvent::kConfirm) cause.boot_id = last_boot_id(store_, name);
        auto next = nett::apply(found->value, **event, cause);
        if (!next) return fail(std::move(next.error()));
        if (**event == LifecycleEvent::kDecommission) release_prefix(*next, transaction);
        transaction.puts.push_back(put_of(*next));
        events = lifecycle_events(found->value, *next, cause);
        return transaction;
    };
    auto committed = co_await transact(by, std::move(what), std::move(build));
    if (!committed) co_return committed;
    for (auto& event : events) events_.publish(std::move(event));
    co_return committed;
}

Awaitable<Result<Revision>> Inventory::set_machine_state(std::string name, MachineState state, By by) {
    Decide decide = [state](const Machine& machine, Cause&) -> Result<std::optional<LifecycleEvent>> {
        if (machine.state == state) return std::nullopt;
        const auto event = event_for(machine.state, state);
        if (!event) return fail(event.error());
        return *event;
    };
    co_return co_await change_state(std::move(name), "set machine state", std::move(by), std::move(decide));
}

Awaitable<Result<Revision>> Inventory::release_machine(std::string name, By by) {
    Decide decide = [](const Machine&, Cause&) -> Result<std::optional<LifecycleEvent>> {
        return LifecycleEvent::kRelease;
    };
    co_return co_await change_state(std::move(name), "release machine", std::move(by), std::move(decide));
}

Awaitable<Result<Revision>> Inventory::report_erased(std::string name, std::string proof, By by) {
    NETT_CO_TRY(check_text("the proof", proof));
    if (proof.empty()) co_return fail(Code::kInvalidArgument, "say what shows that the disks are erased");
    Decide decide = [&proof](const Machine&, Cause& cause) -> Result<std::optional<LifecycleEvent>> {
        cause.reason = proof;
        return LifecycleEvent::kErased;
    };
    co_return co_await change_state(std::move(name), "report erased", std::move(by), std::move(decide));
}

Awaitable<Result<Revision>> Inventory::hold_if_late(std::string name) {
    Decide decide = [this](const Machine& machine, Cause& cause) -> Result<std::optional<LifecycleEvent>> {
        const auto profile = effective_profile(store_, machine);
        if (!profile) return fail(profile.error());
        const auto deadline = deadline_of(machine, *profile);
        if (!deadline || *deadline > cause.when) return std::nullopt;
        cause.reason = fmt::format("in state {} for longer than {} s", to_string(machine.state),
                                   profile->deadlines.at(machine.state).count());
        return LifecycleEvent::kDeadline;
    };
    By by{kAgent, ""};
    co_return co_await change_state(std::move(name), "deadline", std::move(by), std::move(decide));
}

// Only Provisioning ends by itself: in Reprovision the old system may still announce the prefix, and whoever put a
// machine into Maintenance takes it out again.
Awaitable<Result<Revision>> Inventory::confirm_if_wanted(std::string name, ConfirmBy seen, std::string reason) {
    Decide decide = [this, seen, &reason](const Machine& machine,
                                          Cause& cause) -> Result<std::optional<LifecycleEvent>> {
        if (machine.state != MachineState::kProvisioning || machine.locked) return std::nullopt;
        const auto profile = effective_profile(store_, machine);
        if (!profile) return fail(profile.error());
        if (profile->confirm != seen) return std::nullopt;
        cause.reason = reason;
        return LifecycleEvent::kConfirm;
    };
    By by{kAgent, ""};
    co_return co_await change_state(std::move(name), "confirm", std::move(by), std::move(decide));
}

Awaitable<Result<Revision>> Inventory::set_machine_lock(std::string name, bool locked, By by) {
    bool changed = false;
    Build build = [this, &name, &changed, locked]() -> Result<Transaction> {
        auto found = machine(name);
        if (!found) return fail(std::move(found.error()));
        Transaction transaction;
        changed = found->value.locked != locked;
        if (!changed) return transaction;
        found->value.locked = locked;
        transaction.compares.push_back({std::string(kMachineKind), name, found->revision});
        transaction.puts.push_back(put_of(found->value));
        return transaction;
    };
    auto committed = co_await transact(by, locked ? "lock machine" : "unlock machine", std::move(build));
    if (committed && changed) publish("machine.lock", name, locked ? "locked" : "unlocked", by);
    co_return committed;
}

}  // namespace nett
