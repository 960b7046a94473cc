#include "agent/core/inventory/commands.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "agent/sdk/enrol.hpp"
#include "agent/sdk/job_image.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// Commands are coroutines of free functions: a lambda's captures would have to outlive its coroutine.
using Answer = Awaitable<Result<Output>>;

By by(const CommandCall& call, std::string reason = {}) {
    return {call.actor, std::move(reason)};
}

template <typename T>
Result<Output> table(const Result<std::vector<T>>& records, std::vector<Column> columns) {
    if (!records) return fail(records.error());
    json::array rows;
    for (const auto& record : *records) rows.push_back(public_json(record));
    return Output{std::move(rows), std::move(columns)};
}

// Every record, a page after the other, with turns for others in between.
template <typename Read, typename Key>
auto read_all(Read read, Key key) -> Awaitable<decltype(read(std::string()))> {
    auto all = read(std::string());
    auto size = all ? all->size() : 0;
    while (all && size == kMaxListed) {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        auto page = read(key(all->back()));
        if (!page) co_return page;
        size = page->size();
        std::move(page->begin(), page->end(), std::back_inserter(*all));
    }
    co_return all;
}

template <typename T>
Result<Output> object(const Result<T>& record) {
    if (!record) return fail(record.error());
    return Output{public_json(*record)};
}

Result<Output> done(const Result<Revision>& revision, std::string text) {
    if (!revision) return fail(revision.error());
    json::object data{{"message", text}, {"revision", *revision}};
    return Output{std::move(data), {}, text + "\n"};
}

Answer show_machines(Inventory& inventory) {
    const auto records = co_await read_all([&inventory](const std::string& after) { return inventory.machines(after); },
                                           [](const auto& record) { return record.value.name; });
    co_return table(records, {{"name", "Name"},
                              {"tenant", "Tenant"},
                              {"state", "State"},
                              {"uuid", "UUID"},
                              {"held", "Held"},
                              {"boots", "Boots"},
                              {"last_boot_time", "Last boot"},
                              {"artifact_set", "Artifact set"}});
}

Answer show_tenants(Inventory& inventory) {
    const auto records = co_await read_all([&inventory](const std::string& after) { return inventory.tenants(after); },
                                           [](const auto& record) { return record.value.name; });
    co_return table(records, {{"name", "Name"},
                              {"common_names", "Common names"},
                              {"common_name_suffixes", "Suffixes"},
                              {"organizational_units", "Units"},
                              {"machine_quota", "Quota"}});
}

Answer show_artifacts(Inventory& inventory) {
    const auto records =
        co_await read_all([&inventory](const std::string& after) { return inventory.artifact_sets(after); },
                          [](const auto& record) { return record.value.name; });
    co_return table(records, {{"name", "Name"},
                              {"version", "Version"},
                              {"architecture", "Architecture"},
                              {"kernel", "Kernel"},
                              {"initramfs", "Initramfs"},
                              {"command_line", "Command line"}});
}

Answer show_jobs(Inventory& inventory) {
    const auto records = co_await read_all([&inventory](const std::string& after) { return inventory.jobs(after); },
                                           [](const auto& record) { return record.value.id; });
    co_return table(records, {{"id", "Job"},
                              {"type", "Type"},
                              {"machine", "Machine"},
                              {"state", "State"},
                              {"updated", "Updated"},
                              {"message", "Message"}});
}

Answer show_unknown_machines(Inventory& inventory) {
    const auto records =
        co_await read_all([&inventory](const std::string& after) { return inventory.unknown_machines(after); },
                          [](const auto& record) { return unknown_machine_key(record.value.tenant, record.value.id); });
    co_return table(records, {{"id", "Id"},
                              {"tenant", "Tenant"},
                              {"macs", "MAC addresses"},
                              {"port", "Port"},
                              {"source", "Source"},
                              {"requests", "Requests"},
                              {"first_seen", "First seen"},
                              {"last_seen", "Last seen"}});
}

Answer show_profiles(Inventory& inventory) {
    const auto records =
        co_await read_all([&inventory](const std::string& after) { return inventory.profiles(after); },
                          [](const auto& record) { return profile_key(record.value.tenant, record.value.name); });
    co_return table(records, {{"name", "Name"},
                              {"tenant", "Tenant"},
                              {"artifact_set", "Artifact set"},
                              {"rescue_set", "Rescue set"},
                              {"erase_set", "Erase set"},
                              {"confirm", "Confirmed by"},
                              {"deadlines", "Deadlines (s)"}});
}

Answer show_pools(Inventory& inventory) {
    const auto records =
        co_await read_all([&inventory](const std::string& after) { return inventory.prefix_pools(after); },
                          [](const auto& record) { return record.value.name; });
    co_return table(records, {{"name", "Name"},
                              {"tenant", "Tenant"},
                              {"prefix", "Prefix"},
                              {"length", "Length"},
                              {"allocated", "Allocated"},
                              {"capacity", "Capacity"}});
}

Answer show_allocations(Inventory& inventory) {
    const auto records =
        co_await read_all([&inventory](const std::string& after) { return inventory.allocations("", after); },
                          [](const auto& record) { return allocation_key(record.value.pool, record.value.machine); });
    co_return table(records, {{"prefix", "Prefix"}, {"machine", "Machine"}, {"pool", "Pool"}, {"since", "Since"}});
}

Answer release(Inventory& inventory, CommandCall call) {
    const auto name = call.arg("name");
    const auto revision = co_await inventory.release_machine(name, by(call));
    co_return done(revision, fmt::format("machine {} is released", name));
}

Answer erased(Inventory& inventory, CommandCall call) {
    const auto name = call.arg("name");
    const auto revision = co_await inventory.report_erased(name, call.arg("proof"), by(call));
    co_return done(revision, fmt::format("machine {} is erased; \"machine {} delete\" forgets it", name, name));
}

Answer delete_machine(Inventory& inventory, CommandCall call) {
    const auto name = call.arg("name");
    const auto revision = co_await inventory.delete_machine(name, by(call));
    co_return done(revision, fmt::format("machine {} is forgotten", name));
}

Answer acknowledge(Inventory& inventory, CommandCall call) {
    const auto id = call.arg("id");
    const auto revision = co_await inventory.acknowledge_job(id, by(call));
    co_return done(revision, fmt::format("job {} is seen to; its machine may have the next one", id));
}

Answer put_pool(Inventory& inventory, CommandCall call) {
    const auto prefix = Prefix6::parse(call.arg("prefix"));
    if (!prefix) co_return fail(prefix.error());
    const auto length = parse_integer(call.arg("length"), 1, 128);
    if (!length) co_return fail(length.error());
    PrefixPool pool{call.arg("name"), "", *prefix, static_cast<unsigned>(*length)};
    if (const auto tenant = call.args.find("tenant"); tenant != call.args.end()) pool.tenant = tenant->second;
    const auto revision = co_await inventory.put_prefix_pool(std::move(pool), by(call));
    co_return done(revision, fmt::format("pool {} is there", call.arg("name")));
}

Answer delete_pool(Inventory& inventory, CommandCall call) {
    const auto revision = co_await inventory.delete_prefix_pool(call.arg("name"), by(call));
    co_return done(revision, fmt::format("pool {} is gone", call.arg("name")));
}

Answer show_machine(Inventory& inventory, CommandCall call) {
    co_return object(inventory.machine_view(call.arg("name")));
}

Answer set_state(Inventory& inventory, CommandCall call) {
    const auto name = call.arg("name");
    const auto state = parse_machine_state(call.arg("state"));
    if (!state) co_return fail(state.error());
    const auto revision = co_await inventory.set_machine_state(name, *state, by(call));
    co_return done(revision, fmt::format("machine {} is {}", name, to_string(*state)));
}

Answer set_lock(Inventory& inventory, CommandCall call, bool locked) {
    const auto name = call.arg("name");
    const auto revision = co_await inventory.set_machine_lock(name, locked, by(call));
    co_return done(revision, fmt::format("machine {} is {}", name, locked ? "locked" : "unlocked"));
}

Answer accept(Inventory& inventory, CommandCall call) {
    const auto name = call.arg("name");
    const auto revision = co_await inventory.accept_unknown_machine(call.arg("id"), name, by(call));
    co_return done(revision, fmt::format("machine {} is registered; give it an artifact set", name));
}

// The members that every record shows; `version` is the record's format.
template <typename T>
json::object shown(const T& stored) {
    auto object = to_json(stored.value).as_object();
    object.stable_erase("version");
    object["revision"] = stored.revision;
    return object;
}

OpCommand show(std::string pattern, std::string help, Inventory& inventory, Answer (*run)(Inventory&)) {
    OpCommand command;
    command.pattern = std::move(pattern);
    command.help = std::move(help);
    command.tokens = {{"show", "Show the state of the agent"}};
    command.run = [&inventory, run](CommandCall) { return run(inventory); };
    return command;
}

OpCommand action(std::string pattern, std::string help, Role role, std::vector<TokenHelp> tokens,
                 std::function<Answer(CommandCall)> run) {
    OpCommand command;
    command.pattern = std::move(pattern);
    command.help = std::move(help);
    command.tokens = std::move(tokens);
    command.role = role;
    command.run = std::move(run);
    return command;
}

void add_show_commands(std::vector<OpCommand>& commands, Inventory& inventory) {
    commands.push_back(show("show machines", "Registered machines", inventory, show_machines));
    commands.push_back(show("show tenants", "Tenants and whose certificates are theirs", inventory, show_tenants));
    commands.push_back(show("show artifacts", "Artifact sets that machines netboot", inventory, show_artifacts));
    commands.push_back(show("show jobs", "Jobs, oldest first", inventory, show_jobs));
    commands.push_back(
        show("show unknown-machines", "Machines that asked and are not registered", inventory, show_unknown_machines));
    commands.push_back(show("show profiles", "What machines of one sort have in common", inventory, show_profiles));
    commands.push_back(show("show pools", "Pools of production prefixes", inventory, show_pools));
    commands.push_back(show("show allocations", "Production prefixes given to machines", inventory, show_allocations));
    commands.push_back(action("show machine {name:word:@machines}", "All about one machine", Role::kViewer,
                              {{"show", "Show the state of the agent"}, {"machine", "A machine"}, {"name", "Its name"}},
                              [&inventory](CommandCall call) { return show_machine(inventory, std::move(call)); }));
}

void add_machine_commands(std::vector<OpCommand>& commands, Inventory& inventory) {
    const std::vector<TokenHelp> tokens{
        {"machine", "Change a machine"},
        {"name", "Its name"},
        {"state", "Set its lifecycle state"},
        {"lock", "Keep it as it is: it boots its disk, no automation changes it"},
        {"unlock", "Lift the lock"},
        {"accept", "Register an unknown machine under this name"},
        {"id", "The UUID or MAC address that it asked with; TENANT/ID when several tenants' did"},
        {"release", "Lift its hold: it boots as its state says again"},
        {"erased", "Its disks are erased"},
        {"proof", "What shows it, in one line"},
        {"delete", "Forget it"}};
    const auto add = [&](std::string pattern, std::string help, std::function<Answer(CommandCall)> run) {
        commands.push_back(action(std::move(pattern), std::move(help), Role::kOperator, tokens, std::move(run)));
    };
    add("machine {name:word:@machines} state "
        "{state:choice:new|provisioning|active|reprovision|maintenance|decommission}",
        "Set a machine's lifecycle state",
        [&inventory](CommandCall call) { return set_state(inventory, std::move(call)); });
    add("machine {name:word:@machines} lock", "Lock a machine",
        [&inventory](CommandCall call) { return set_lock(inventory, std::move(call), true); });
    add("machine {name:word:@machines} unlock", "Unlock a machine",
        [&inventory](CommandCall call) { return set_lock(inventory, std::move(call), false); });
    add("machine {name:word:@machines} release", "Lift the hold of a boot loop or a deadline",
        [&inventory](CommandCall call) { return release(inventory, std::move(call)); });
    add("machine {name:word:@machines} erased {proof:text}", "Report that a machine in Decommission is erased",
        [&inventory](CommandCall call) { return erased(inventory, std::move(call)); });
    add("machine {name:word:@machines} delete", "Forget a machine",
        [&inventory](CommandCall call) { return delete_machine(inventory, std::move(call)); });
    add("machine {name:word} accept {id:word:@unknown-machines}", "Register an unknown machine",
        [&inventory](CommandCall call) { return accept(inventory, std::move(call)); });
}

void add_pool_commands(std::vector<OpCommand>& commands, Inventory& inventory) {
    const std::vector<TokenHelp> tokens{{"pool", "Change a pool of production prefixes"},
                                        {"name", "Its name"},
                                        {"prefix", "What it gives out of, e.g. 2001:db8:f::/48"},
                                        {"length", "Length of what it gives out: 64, 128"},
                                        {"tenant", "The only tenant whose machines get prefixes of it"},
                                        {"delete", "Forget it"}};
    for (const auto* pattern : {"pool {name:word} prefix {prefix:prefix6} length {length:int:1..128}",
                                "pool {name:word} prefix {prefix:prefix6} length {length:int:1..128} tenant "
                                "{tenant:word:@tenants}"}) {
        commands.push_back(action(pattern, "Make or enlarge a pool", Role::kAdmin, tokens,
                                  [&inventory](CommandCall call) { return put_pool(inventory, std::move(call)); }));
    }
    commands.push_back(action("pool {name:word:@pools} delete", "Forget a pool", Role::kAdmin, tokens,
                              [&inventory](CommandCall call) { return delete_pool(inventory, std::move(call)); }));
}

}  // namespace

std::vector<OpCommand> inventory_commands(Inventory& inventory) {
    std::vector<OpCommand> commands;
    add_show_commands(commands, inventory);
    add_machine_commands(commands, inventory);
    commands.push_back(
        action("job {id:word:@jobs} acknowledge", "See to a job that waits for an operator", Role::kOperator,
               {{"job", "Change a job"}, {"id", "Its number"}, {"acknowledge", "Its machine may have the next job"}},
               [&inventory](CommandCall call) { return acknowledge(inventory, std::move(call)); }));
    add_pool_commands(commands, inventory);
    return commands;
}

std::map<std::string, std::function<std::vector<std::string>()>, std::less<>> inventory_completions(
    Inventory& inventory) {
    const auto names = [&inventory](std::string_view kind) {
        return [&inventory, kind] { return inventory.names(kind); };
    };
    return {{"machines", names(kMachineKind)},
            {"tenants", names(kTenantKind)},
            {"artifact-sets", names(kArtifactSetKind)},
            {"bmcs", names(kBmcKind)},
            {"pools", names(kPrefixPoolKind)},
            {"unknown-machines", names(kUnknownMachineKind)},
            {"jobs", [&inventory] {
                 std::vector<std::string> ids;
                 if (const auto jobs = inventory.jobs()) {
                     for (const auto& job : *jobs) ids.push_back(job.value.id);
                 }
                 return ids;
             }}};
}

json::object public_json(const Stored<Tenant>& stored) {
    return shown(stored);
}

json::object public_json(const MachineView& view) {
    auto object = shown(view);
    const auto boots = to_json(view.boots).as_object();
    for (const auto* member : {"boots", "last_boot_time", "last_boot_source", "last_boot_outcome"}) {
        object[member] = boots.at(member);
    }
    object["last_boot_id"] = view.boots.last_boot.boot_id;
    object["held"] = view.value.hold.reason;
    return object;
}

json::object public_json(const Stored<Profile>& stored) {
    return shown(stored);
}

json::object public_json(const PoolView& view) {
    auto object = shown(view);
    object["allocated"] = view.allocated;
    object["capacity"] = view.capacity;
    return object;
}

json::object public_json(const Stored<Allocation>& stored) {
    return shown(stored);
}

json::object public_json(const Stored<UnknownMachine>& stored) {
    return shown(stored);
}

json::object public_json(const Stored<ArtifactSet>& stored) {
    auto object = shown(stored);
    object.stable_erase("set_version");
    object["version"] = stored.value.version;
    return object;
}

json::object public_json(const Stored<Bmc>& stored) {
    auto object = shown(stored);
    object.stable_erase("sealed_password");
    const auto& bmc = stored.value;
    object["trust"] = !bmc.ca_file.empty() ? "CA" : !bmc.pinned_sha256.empty() ? "pinned" : "first use";
    return object;
}

json::object public_json(const Stored<Job>& stored) {
    auto object = shown(stored);
    // The plugin's own JSON, as JSON.
    json::error_code error;
    if (auto progress = json::parse(stored.value.progress, error); !error) object["progress"] = std::move(progress);
    if (auto* progress = object["progress"].if_object()) progress->erase("sealed_image");
    auto& parameters = object["parameters"].as_object();
    if (const auto shown = stored.value.parameters.find(kJobImageShown); shown != stored.value.parameters.end()) {
        parameters.erase(kJobImageShown);
        parameters[kJobImageUrl] = shown->second;
    }
    return object;
}

}  // namespace nett
