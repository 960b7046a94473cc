#include "agent/core/inventory/inventory.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/records.hpp"

namespace nett {

namespace {

// What another tenant claims already would make the owner of a certificate ambiguous.
Result<void> check_unclaimed(const Tenant& tenant, const Tenant& other) {
    const auto clash = [&](std::string_view what, const std::vector<std::string>& mine,
                           const std::vector<std::string>& theirs) -> Result<void> {
        for (const auto& subject : mine) {
            if (std::find(theirs.begin(), theirs.end(), subject) == theirs.end()) continue;
            return fail(Code::kAlreadyExists, "tenant \"{}\" has the {} \"{}\" already", other.name, what, subject);
        }
        return {};
    };
    NETT_TRY(clash("common name", tenant.common_names, other.common_names));
    NETT_TRY(clash("common name suffix", tenant.common_name_suffixes, other.common_name_suffixes));
    return clash("organizational unit", tenant.organizational_units, other.organizational_units);
}

}  // namespace

Result<std::unique_ptr<Inventory>> Inventory::open(InventoryDependencies dependencies,
                                                   const std::string& artifact_directory) {
    auto files = ArtifactFiles::open(artifact_directory);
    if (!files) return fail(std::move(files.error()));
    return std::unique_ptr<Inventory>(new Inventory(dependencies, std::move(*files)));
}

Awaitable<Result<Revision>> Inventory::transact(By by, std::string what, Build build) {
    NETT_CO_TRY(check_text("the reason", by.reason));
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        auto transaction = build();
        if (!transaction) co_return fail(std::move(transaction.error()));
        transaction->actor = by.actor;
        transaction->reason = by.reason.empty() ? what : by.reason;
        auto committed = co_await store_.commit(std::move(*transaction));
        if (committed || committed.error().code != Code::kAborted) co_return committed;
    }
    co_return fail(Code::kAborted, "what \"{}\" touches changes faster than it can be updated; try again", what);
}

// Deletes a record that nothing refers to.
Awaitable<Result<Revision>> Inventory::remove(std::string_view kind, std::string_view word, std::string name, By by) {
    Build build = [this, kind, word, &name]() -> Result<Transaction> {
        auto record = store_.get(kind, name);
        if (!record) return fail(std::move(record.error()));
        if (!*record) return fail(Code::kNotFound, "no {} \"{}\"", word, name);
        Transaction transaction;
        transaction.compares.push_back({(*record)->kind, name, (*record)->revision});
        transaction.deletes.push_back({(*record)->kind, name});
        return transaction;
    };
    auto what = fmt::format("delete {}", word);
    co_return co_await transact(std::move(by), std::move(what), std::move(build));
}

Awaitable<Result<Revision>> Inventory::put_tenant(Tenant tenant, By by) {
    NETT_CO_TRY(check_tenant(tenant));
    auto rules = check_auto_enrol(std::move(tenant.auto_enrol));
    if (!rules) co_return fail(std::move(rules.error()));
    tenant.auto_enrol = std::move(*rules);
    const auto turn = co_await registrations_.lock();
    Build build = [this, &tenant]() -> Result<Transaction> {
        const auto all = read_records<Tenant>(store_, kTenantKind);
        if (!all) return fail(all.error());
        Transaction transaction;
        Revision now = 0;
        for (const auto& other : *all) {
            if (other.value.name == tenant.name) {
                now = other.revision;
            } else {
                NETT_TRY(check_unclaimed(tenant, other.value));
            }
        }
        transaction.compares.push_back({std::string(kTenantKind), tenant.name, now});
        transaction.puts.push_back(put_of(tenant));
        return transaction;
    };
    co_return co_await transact(std::move(by), "put tenant", std::move(build));
}

Awaitable<Result<Revision>> Inventory::delete_tenant(std::string name, By by) {
    const auto turn = co_await registrations_.lock();
    const auto machines = store_.count(kMachineKind, kTenantIndex, group_prefix(name));
    if (!machines) co_return fail(machines.error());
    if (*machines != 0) {
        co_return fail(Code::kFailedPrecondition, "tenant \"{}\" has {} machines; delete them first", name, *machines);
    }
    co_return co_await remove(kTenantKind, "tenant", std::move(name), std::move(by));
}

void Inventory::publish(std::string type, std::string subject, std::string message, const By& by,
                        std::map<std::string, std::string> fields) {
    fields["actor"] = by.actor;
    if (!by.reason.empty()) fields["reason"] = by.reason;
    Event event;
    event.type = std::move(type);
    event.subject = std::move(subject);
    event.message = std::move(message);
    event.fields = std::move(fields);
    events_.publish(std::move(event));
}

std::string public_text(const std::string& json_text) {
    boost::json::error_code error;
    auto value = boost::json::parse(json_text, error);
    auto* object = error ? nullptr : value.if_object();
    if (object == nullptr) return {};
    for (auto member = object->begin(); member != object->end();) {
        member = member->key().starts_with("sealed") ? object->stable_erase(member) : member + 1;
    }
    return boost::json::serialize(value);
}

Result<std::vector<Stored<Tenant>>> Inventory::tenants(const std::string& after, std::size_t limit) const {
    return read_records<Tenant>(store_, kTenantKind, after, std::min(limit, kMaxListed));
}

Result<std::vector<MachineView>> Inventory::machines(const std::string& after, std::size_t limit) const {
    auto machines = read_records<Machine>(store_, kMachineKind, after, std::min(limit, kMaxListed));
    if (!machines) return fail(std::move(machines.error()));
    // In the order of the same names, and never more of them.
    auto histories = read_records<BootHistory>(store_, kBootHistoryKind, after, machines->size());
    if (!histories) return fail(std::move(histories.error()));
    std::vector<MachineView> views;
    views.reserve(machines->size());
    auto history = histories->begin();
    for (auto& [machine, revision] : *machines) {
        while (history != histories->end() && history->value.machine < machine.name) ++history;
        BootHistory boots;
        if (history != histories->end() && history->value.machine == machine.name) boots = std::move(history->value);
        views.push_back({std::move(machine), std::move(boots), revision});
    }
    return views;
}

Result<MachineView> Inventory::machine_view(const std::string& name) const {
    auto found = machine(name);
    if (!found) return fail(std::move(found.error()));
    auto boots = read_record<BootHistory>(store_, kBootHistoryKind, name);
    if (!boots) return fail(std::move(boots.error()));
    return MachineView{std::move(found->value), *boots ? std::move((*boots)->value) : BootHistory{}, found->revision};
}

Result<std::vector<Stored<UnknownMachine>>> Inventory::unknown_machines(const std::string& after,
                                                                        std::size_t limit) const {
    return read_records<UnknownMachine>(store_, kUnknownMachineKind, after, std::min(limit, kMaxListed));
}

Result<std::vector<Stored<ArtifactSet>>> Inventory::artifact_sets(const std::string& after, std::size_t limit) const {
    return read_records<ArtifactSet>(store_, kArtifactSetKind, after, std::min(limit, kMaxListed));
}

Result<std::vector<Stored<Bmc>>> Inventory::bmcs(const std::string& after, std::size_t limit) const {
    return read_records<Bmc>(store_, kBmcKind, after, std::min(limit, kMaxListed));
}

Result<std::vector<Stored<Job>>> Inventory::jobs(const std::string& after, std::size_t limit) const {
    return read_records<Job>(store_, kJobKind, after.empty() ? "" : job_key(after), std::min(limit, kMaxListed));
}

Result<Stored<Machine>> Inventory::machine(const std::string& name) const {
    auto found = read_record<Machine>(store_, kMachineKind, name);
    if (!found) return fail(std::move(found.error()));
    if (!*found) return fail(Code::kNotFound, "no machine \"{}\"; see \"show machines\"", name);
    return std::move(**found);
}

Result<Stored<Job>> Inventory::job(const std::string& id) const {
    auto found = read_record<Job>(store_, kJobKind, job_key(id));
    if (!found) return fail(std::move(found.error()));
    if (!*found) return fail(Code::kNotFound, "no job {}; see \"show jobs\"", id);
    return std::move(**found);
}

std::vector<std::string> Inventory::names(std::string_view kind) const {
    std::vector<std::string> names;
    const auto records = store_.list(kind, "", kMaxListed);
    if (!records) return names;  // completion is a convenience; the command itself reports the error
    for (const auto& record : *records) names.push_back(record.key);
    return names;
}

}  // namespace nett
