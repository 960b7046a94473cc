#include <algorithm>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "agent/core/inventory/issues.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/records.hpp"

namespace nett {

namespace json = boost::json;

namespace {

using Answer = Awaitable<Result<Output>>;

// What it netboots now, as far as the machine and its profile say.
void choose_set(IssueFacts& facts) {
    const auto& machine = facts.machine.value;
    const auto kind = boot_decision(machine);
    const Profile profile = facts.profile.value_or(Profile{});
    facts.set_name = machine.artifact_set.empty() ? profile.artifact_set : machine.artifact_set;
    if (kind == BootKind::kErase) facts.set_name = profile.erase_set;
    if (kind == BootKind::kRescue && !profile.rescue_set.empty()) facts.set_name = profile.rescue_set;
    // Rescue and erase sets have a default in `plugin metadata`.
    facts.set_needed = facts.profile && kind != BootKind::kErase && kind != BootKind::kRescue;
}

bool looks_like(const UnknownMachine& stranger, const Machine& machine) {
    if (!machine.serial.empty() && stranger.serial == machine.serial) return true;
    return std::any_of(stranger.macs.begin(), stranger.macs.end(), [&](const auto& mac) {
        return std::find(machine.macs.begin(), machine.macs.end(), mac) != machine.macs.end();
    });
}

template <typename T>
Result<std::optional<T>> value_of(const Store& store, std::string_view kind, std::string_view key) {
    auto stored = read_record<T>(store, kind, key);
    if (!stored) return fail(std::move(stored.error()));
    return *stored ? std::optional<T>(std::move((*stored)->value)) : std::nullopt;
}

Result<void> find_files(const Inventory& inventory, IssueFacts& facts) {
    if (facts.set_name.empty()) return {};
    auto set = value_of<ArtifactSet>(inventory.store(), kArtifactSetKind, facts.set_name);
    if (!set) return fail(std::move(set.error()));
    facts.set = std::move(*set);
    if (!facts.set) return {};
    for (const auto& file : facts.set->files) {
        const auto size = inventory.artifact_files().size_of(file.sha256);
        if (!size || *size != file.size) facts.missing.push_back(file.name);
    }
    return {};
}

Result<void> find_stranger(const Inventory& inventory, IssueFacts& facts) {
    auto strangers = inventory.unknown_machines();
    if (!strangers) return fail(std::move(strangers.error()));
    for (const auto& stranger : *strangers) {
        if (looks_like(stranger.value, facts.machine.value)) facts.stranger = stranger.value;
    }
    return {};
}

Result<void> find_job(const Inventory& inventory, IssueFacts& facts) {
    auto jobs = inventory.jobs();
    if (!jobs) return fail(std::move(jobs.error()));
    for (const auto& job : *jobs) {
        if (job.value.machine == facts.machine.value.name) facts.job = job.value;
    }
    return {};
}

Result<void> add_rows(const Inventory& inventory, const MachineView& machine, SystemTime now, json::array& rows) {
    const auto facts = gather_facts(inventory, machine, now);
    if (!facts) return fail(facts.error());
    for (const auto& issue : find_issues(*facts)) {
        rows.push_back({{"machine", machine.value.name},
                        {"state", to_string(machine.value.state)},
                        {"issue", issue.issue},
                        {"cause", issue.cause},
                        {"remedy", issue.remedy}});
    }
    return {};
}

// Read by a person: one line a cause, its remedy below it.
Output output_of(json::array rows) {
    Output output;
    for (const auto& row : rows) {
        const auto text = [&](const char* key) { return std::string(row.at(key).as_string()); };
        output.text +=
            fmt::format("{} ({}): {}\n  remedy: {}\n", text("machine"), text("state"), text("cause"), text("remedy"));
    }
    if (rows.empty()) output.text = "No machine has an issue.\n";
    output.data = std::move(rows);
    return output;
}

Answer show_issues(const Inventory& inventory, const Clock& clock) {
    json::array rows;
    std::string after;
    for (;;) {
        const auto machines = inventory.machines(after);
        if (!machines) co_return fail(machines.error());
        for (const auto& machine : *machines) NETT_CO_TRY(add_rows(inventory, machine, clock.system_now(), rows));
        if (machines->size() < kMaxListed) break;
        after = machines->back().value.name;
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
    co_return output_of(std::move(rows));
}

Answer show_issues_of(const Inventory& inventory, const Clock& clock, CommandCall call) {
    const auto machine = inventory.machine_view(call.arg("name"));
    if (!machine) co_return fail(machine.error());
    json::array rows;
    NETT_CO_TRY(add_rows(inventory, *machine, clock.system_now(), rows));
    co_return output_of(std::move(rows));
}

}  // namespace

Result<IssueFacts> gather_facts(const Inventory& inventory, const MachineView& machine, SystemTime now) {
    IssueFacts facts{.machine = machine, .now = now};
    const auto& store = inventory.store();
    const auto& registered = machine.value;
    auto tenant = value_of<Tenant>(store, kTenantKind, registered.tenant);
    if (!tenant) return fail(std::move(tenant.error()));
    facts.tenant = std::move(*tenant);
    auto profile = effective_profile(store, registered);
    if (!profile && profile.error().code != Code::kFailedPrecondition) return fail(std::move(profile.error()));
    if (profile) facts.profile = std::move(*profile);
    choose_set(facts);
    NETT_TRY(find_files(inventory, facts));
    NETT_TRY(find_stranger(inventory, facts));
    NETT_TRY(find_job(inventory, facts));
    if (registered.production.pool.empty()) return facts;
    auto pools = inventory.prefix_pools();
    if (!pools) return fail(std::move(pools.error()));
    for (const auto& pool : *pools) {
        if (pool.value.name == registered.production.pool) facts.pool = pool;
    }
    return facts;
}

std::vector<OpCommand> issue_commands(const Inventory& inventory, const Clock& clock) {
    const std::vector<TokenHelp> tokens{{"show", "Show the state of the agent"},
                                        {"machine", "A machine"},
                                        {"name", "Its name"},
                                        {"issues", "Why it does not boot, and what to do"}};
    return {{"show machine issues", "Why machines do not boot as they should, and what to do", tokens, Role::kViewer,
             [&inventory, &clock](CommandCall) { return show_issues(inventory, clock); }},
            {"show machine {name:word:@machines} issues", "Why a machine does not boot as it should, and what to do",
             tokens, Role::kViewer,
             [&inventory, &clock](CommandCall call) { return show_issues_of(inventory, clock, std::move(call)); }}};
}

}  // namespace nett
