#include "agent/core/inventory/commands.hpp"

#include <boost/json.hpp>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// Commands are coroutines of free functions: a lambda's captures would have to outlive its coroutine.
using Answer = Awaitable<Result<Output>>;

By by(const CommandCall& call, std::string reason = {}) {
    return {call.actor, std::move(reason)};
}

Result<Output> done(const Result<Revision>& revision, std::string text) {
    if (!revision) return fail(revision.error());
    json::object data{{"message", text}, {"revision", *revision}};
    return Output{std::move(data), {}, text + "\n"};
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
    auto commands = inventory_show_commands(inventory);
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

}  // namespace nett
