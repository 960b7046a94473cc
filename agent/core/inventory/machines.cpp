// Inventory's use cases for machines.
#include <algorithm>

#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/enrol.hpp"
#include "agent/sdk/identity.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/prefixes.hpp"
#include "agent/sdk/records.hpp"
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
    transaction.compares.push_back(unchanged(kTenantKind, machine.tenant, (*tenant)->revision));
    if (!joins) return {};
    return check_quota(store_, (*tenant)->value);
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

Result<void> Inventory::check_profile_of(const Machine& machine, Transaction& transaction) const {
    if (machine.profile.empty()) return {};
    for (const auto& tenant : {machine.tenant, std::string()}) {
        const auto found = store_.get(kProfileKind, profile_key(tenant, machine.profile));
        if (!found) return fail(found.error());
        if (!*found) continue;
        transaction.compares.push_back(unchanged(kProfileKind, (*found)->key, (*found)->revision));
        return {};
    }
    return fail(Code::kNotFound, "no profile \"{}\" for tenant \"{}\"; see \"show profiles\"", machine.profile,
                machine.tenant);
}

// A prefix that a pool or NetBox gave stays as long as the registration still wants it from there.
Result<void> Inventory::check_production(Machine& machine, const std::optional<Stored<Machine>>& old,
                                         Transaction& transaction) const {
    const auto before = old ? old->value.production : ProductionPrefix{};
    auto& wanted = machine.production;
    if (wanted.mode == ProductionMode::kPool) NETT_TRY(check_pool(wanted.pool, machine.tenant, transaction));
    const bool same = before.mode == wanted.mode && before.pool == wanted.pool;
    if (same && wanted.mode != ProductionMode::kStatic) wanted.prefix = before.prefix;
    if (!same && old) {
        auto former = old->value;
        release_prefix(former, transaction);
    }
    if (wanted.mode != ProductionMode::kStatic) return {};
    for (const auto& [kind, index] : {std::pair(kMachineKind, kProductionIndex), {kAllocationKind, kPrefixIndex}}) {
        const auto owner = store_.find(kind, index, wanted.prefix);
        if (!owner) return fail(owner.error());
        if (!*owner || (*owner)->key == machine.name || (*owner)->key.ends_with("/" + machine.name)) continue;
        return fail(Code::kAlreadyExists, "{} is {} \"{}\"'s already", wanted.prefix, kind, (*owner)->key);
    }
    return {};
}

// What a registration does not carry comes from the record that is there, or starts anew. A config that is given is
// sealed into the transaction.
Result<void> Inventory::keep_runtime(Machine& machine, const std::optional<Stored<Machine>>& old,
                                     const std::optional<std::string>& config, Transaction& transaction) const {
    const Machine before = old ? old->value : Machine{};
    machine.state = before.state;
    machine.state_since = old ? before.state_since : clock_.system_now();
    machine.state_actor = before.state_actor;
    machine.state_reason = before.state_reason;
    machine.locked = before.locked;
    machine.wipe_pending = before.wipe_pending;
    machine.hold = before.hold;
    machine.erase = before.erase;
    machine.config_sha256 = before.config_sha256;
    machine.config_size = before.config_size;
    if (!config) return {};
    machine.config_sha256 = config->empty() ? "" : sha256_hex(*config);
    machine.config_size = config->size();
    if (config->empty()) {
        transaction.deletes.push_back({std::string(kMachineConfigKind), machine.name});
        return {};
    }
    auto sealed = secrets_.seal(*config, machine_config_context(machine.name));
    if (!sealed) return fail(std::move(sealed.error()));
    transaction.puts.push_back(
        put_of(MachineConfig{machine.name, std::move(*sealed), machine.config_sha256, machine.config_size}));
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
    NETT_TRY(check_set(machine.artifact_set, transaction));
    NETT_TRY(check_profile_of(machine, transaction));
    NETT_TRY(keep_runtime(machine, *old, config, transaction));
    NETT_TRY(check_production(machine, *old, transaction));
    transaction.puts.push_back(put_of(machine));
    for (const auto& id : ids_of(machine))
        transaction.deletes.push_back({std::string(kUnknownMachineKind), unknown_machine_key(machine.tenant, id)});
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
    const auto job = open_job_of(name);
    if (!job) co_return fail(job.error());
    if (*job) {
        co_return fail(Code::kFailedPrecondition, "job {} of machine \"{}\" is {}; \"job {} cancel\" first", (*job)->id,
                       name, (*job)->state, (*job)->id);
    }
    Build build = [this, &name]() -> Result<Transaction> {
        auto found = machine(name);
        if (!found) return fail(std::move(found.error()));
        Transaction transaction;
        transaction.compares.push_back(unchanged(kMachineKind, name, found->revision));
        release_prefix(found->value, transaction);
        for (const auto kind : {kMachineKind, kMachineConfigKind, kBootHistoryKind}) {
            transaction.deletes.push_back({std::string(kind), name});
        }
        return transaction;
    };
    auto committed = co_await transact(by, "delete machine", std::move(build));
    if (committed) publish("machine.deleted", name, "deleted", by);
    co_return committed;
}

Result<Stored<UnknownMachine>> Inventory::unknown_machine(const std::string& id) const {
    const auto slash = id.find('/');
    const auto parsed = parse_machine_id(slash == std::string::npos ? id : id.substr(slash + 1));
    if (!parsed) return fail(parsed.error());
    const auto asked = parsed->uuid ? *parsed->uuid : parsed->mac.value_or("");
    auto found = decode_records<UnknownMachine>(store_.scan(kUnknownMachineKind, kUnknownIdIndex, group_prefix(asked)));
    if (!found) return fail(std::move(found.error()));
    if (slash != std::string::npos) {
        std::erase_if(*found, [&](const auto& one) { return one.value.tenant != id.substr(0, slash); });
    }
    if (found->empty()) return fail(Code::kNotFound, "no unknown machine {}; see \"show unknown-machines\"", id);
    if (found->size() == 1) return std::move(found->front());
    return fail(Code::kFailedPrecondition,
                "{} asked with certificates of several tenants, \"{}\" and \"{}\" among them; say whose it is: "
                "\"{}/{}\"",
                asked, (*found)[0].value.tenant, (*found)[1].value.tenant, (*found)[0].value.tenant, asked);
}

Awaitable<Result<Revision>> Inventory::accept_unknown_machine(std::string id, std::string name, By by) {
    const auto unknown = unknown_machine(id);
    if (!unknown) co_return fail(unknown.error());
    const auto taken = store_.get(kMachineKind, name);
    if (!taken) co_return fail(taken.error());
    if (*taken) co_return fail(Code::kAlreadyExists, "machine \"{}\" is registered already; take another name", name);
    const auto& seen = unknown->value;
    const auto parsed = parse_machine_id(seen.id);
    if (!parsed) co_return fail(parsed.error());
    Machine machine;
    machine.name = std::move(name);
    machine.tenant = seen.tenant;
    machine.uuid = parsed->uuid.value_or(is_usable_uuid(seen.uuid) ? seen.uuid : "");
    machine.macs = seen.macs;
    if (parsed->mac) machine.macs.push_back(*parsed->mac);  // doubles go in check_machine()
    machine.serial = seen.serial;
    co_return co_await put_machine(std::move(machine), std::nullopt, std::move(by));
}

}  // namespace nett
