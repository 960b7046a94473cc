// Inventory's use cases for machines.
#include <algorithm>

#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/records.hpp"
#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/identity.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

// Unknown machines are recorded under the id that they asked with; once registered they are not unknown any more.
std::vector<std::string> ids_of(const Machine& machine) {
    auto ids = machine.macs;
    if (!machine.uuid.empty()) ids.push_back(machine.uuid);
    return ids;
}

}  // namespace

// Adds what keeps the machine's tenant in place to the transaction, and checks its quota when the machine joins it.
Result<void> Inventory::check_tenant_of(const Machine& machine, bool joins, Transaction& transaction) const {
    const auto tenant = read_record<Tenant>(store_, kTenantKind, machine.tenant);
    if (!tenant) return fail(tenant.error());
    if (!*tenant) {
        return fail(Code::kNotFound, "no tenant \"{}\"; register it before its machines", machine.tenant);
    }
    transaction.compares.push_back({std::string(kTenantKind), machine.tenant, (*tenant)->revision});
    const auto quota = (*tenant)->value.machine_quota;
    if (!joins || quota == 0) return {};
    const auto machines = read_records<Machine>(store_, kMachineKind);
    if (!machines) return fail(machines.error());
    const auto count = std::count_if(machines->begin(), machines->end(), [&](const Stored<Machine>& other) {
        return other.value.tenant == machine.tenant;
    });
    if (static_cast<std::uint64_t>(count) < quota) return {};
    return fail(Code::kResourceExhausted, "tenant \"{}\" has {} machines, its quota is {}", machine.tenant, count,
                quota);
}

// The store refuses a second owner too; this says it in an operator's words.
Result<void> Inventory::check_identity(const Machine& machine) const {
    const auto check = [&](std::string_view index, std::string_view word, const std::string& value) -> Result<void> {
        const auto owner = store_.find(kMachineKind, index, value);
        if (!owner) return fail(owner.error());
        if (!*owner || (*owner)->key == machine.name) return {};
        return fail(Code::kAlreadyExists, "machine \"{}\" has {} {} already; delete it or change it first",
                    (*owner)->key, word, value);
    };
    if (!machine.uuid.empty()) NETT_TRY(check(kUuidIndex, "UUID", machine.uuid));
    for (const auto& mac : machine.macs) NETT_TRY(check(kMacIndex, "MAC address", mac));
    return {};
}

// What a registration does not carry comes from the record that is there, or starts anew.
Result<void> Inventory::keep_runtime(Machine& machine, const std::optional<Stored<Machine>>& old,
                                     const std::optional<std::string>& config) const {
    const Machine before = old ? old->value : Machine{};
    machine.state = before.state;
    machine.state_since = old ? before.state_since : clock_.system_now();
    machine.locked = before.locked;
    machine.wipe_pending = before.wipe_pending;
    machine.boots = before.boots;
    machine.last_boot = before.last_boot;
    machine.sealed_config = before.sealed_config;
    machine.config_sha256 = before.config_sha256;
    machine.config_size = before.config_size;
    if (!config) return {};
    machine.sealed_config.clear();
    machine.config_sha256.clear();
    machine.config_size = config->size();
    if (config->empty()) return {};
    auto sealed = secrets_.seal(*config, fmt::format("machine/{}/config", machine.name));
    if (!sealed) return fail(std::move(sealed.error()));
    machine.sealed_config = std::move(*sealed);
    machine.config_sha256 = sha256_hex(*config);
    return {};
}

Result<Transaction> Inventory::build_machine(const Machine& wanted, const std::optional<std::string>& config) const {
    Machine machine = wanted;
    const auto old = read_record<Machine>(store_, kMachineKind, machine.name);
    if (!old) return fail(old.error());
    Transaction transaction;
    transaction.compares.push_back({std::string(kMachineKind), machine.name, *old ? (*old)->revision : 0});
    NETT_TRY(check_tenant_of(machine, !*old || (*old)->value.tenant != machine.tenant, transaction));
    NETT_TRY(check_identity(machine));
    if (!machine.artifact_set.empty()) {
        const auto set = store_.get(kArtifactSetKind, machine.artifact_set);
        if (!set) return fail(set.error());
        if (!*set) {
            return fail(Code::kNotFound, "no artifact set \"{}\"; see \"show artifacts\"", machine.artifact_set);
        }
        transaction.compares.push_back({(*set)->kind, (*set)->key, (*set)->revision});
    }
    NETT_TRY(keep_runtime(machine, *old, config));
    transaction.puts.push_back(put_of(machine));
    for (auto& id : ids_of(machine)) transaction.deletes.push_back({std::string(kUnknownMachineKind), std::move(id)});
    return transaction;
}

Awaitable<Result<Revision>> Inventory::put_machine(Machine machine, std::optional<std::string> config, By by) {
    auto checked = check_machine(std::move(machine));
    if (!checked) co_return fail(std::move(checked.error()));
    if (config && config->size() > kMaxConfigSize) {
        co_return fail(Code::kInvalidArgument, "the machine config has {} bytes; at most {} fit", config->size(),
                       kMaxConfigSize);
    }
    const auto turn = co_await registrations_.lock();
    Build build = [this, &checked, &config] { return build_machine(*checked, config); };
    auto committed = co_await transact(by, "put machine", std::move(build));
    if (committed) publish("machine.registered", checked->name, fmt::format("registered for {}", checked->tenant), by);
    co_return committed;
}

Awaitable<Result<Revision>> Inventory::delete_machine(std::string name, By by) {
    const auto turn = co_await registrations_.lock();
    const auto job = running_job_of(name);
    if (!job) co_return fail(job.error());
    if (!job->empty()) {
        co_return fail(Code::kFailedPrecondition, "job {} of machine \"{}\" runs; \"job {} cancel\" first", *job, name,
                       *job);
    }
    auto committed = co_await remove(kMachineKind, "machine", name, by);
    if (committed) publish("machine.deleted", name, "deleted", by);
    co_return committed;
}

Awaitable<Result<Revision>> Inventory::set_machine_state(std::string name, MachineState state, By by) {
    MachineState from{};
    Build build = [this, &name, &from, state]() -> Result<Transaction> {
        auto found = machine(name);
        if (!found) return fail(std::move(found.error()));
        from = found->value.state;
        Transaction transaction;
        if (from == state) return transaction;
        const auto event = event_for(from, state);
        if (!event) return fail(event.error());
        auto next = apply(std::move(found->value), *event, clock_.system_now(), false);
        if (!next) return fail(std::move(next.error()));
        transaction.compares.push_back({std::string(kMachineKind), name, found->revision});
        transaction.puts.push_back(put_of(*next));
        return transaction;
    };
    auto committed = co_await transact(by, "set machine state", std::move(build));
    if (committed && from != state) {
        const std::string old_name(to_string(from));
        const std::string new_name(to_string(state));
        std::map<std::string, std::string> fields{{"from", old_name}, {"to", new_name}};
        publish("machine.state", name, fmt::format("{} → {}", old_name, new_name), by, std::move(fields));
    }
    co_return committed;
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

Awaitable<Result<Revision>> Inventory::accept_unknown_machine(std::string id, std::string name, By by) {
    const auto parsed = parse_machine_id(id);
    if (!parsed) co_return fail(parsed.error());
    const auto key = parsed->uuid ? *parsed->uuid : parsed->mac.value_or("");
    const auto unknown = read_record<UnknownMachine>(store_, kUnknownMachineKind, key);
    if (!unknown) co_return fail(unknown.error());
    if (!*unknown) co_return fail(Code::kNotFound, "no unknown machine {}; see \"show unknown-machines\"", id);
    const auto taken = read_record<Machine>(store_, kMachineKind, name);
    if (!taken) co_return fail(taken.error());
    if (*taken) co_return fail(Code::kAlreadyExists, "machine \"{}\" is registered already; take another name", name);
    Machine machine;
    machine.name = std::move(name);
    machine.tenant = (*unknown)->value.tenant;
    machine.uuid = parsed->uuid.value_or("");
    if (parsed->mac) machine.macs.push_back(*parsed->mac);
    co_return co_await put_machine(std::move(machine), std::nullopt, std::move(by));
}

}  // namespace nett
