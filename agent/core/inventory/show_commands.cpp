// `show machines` and the like.
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "agent/core/inventory/commands.hpp"
#include "agent/sdk/enrol.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// Commands are coroutines of free functions: a lambda's captures would have to outlive its coroutine.
using Answer = Awaitable<Result<Output>>;

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

Answer show_machine(Inventory& inventory, CommandCall call) {
    co_return object(inventory.machine_view(call.arg("name")));
}

OpCommand show(std::string pattern, std::string help, Inventory& inventory, Answer (*run)(Inventory&)) {
    OpCommand command;
    command.pattern = std::move(pattern);
    command.help = std::move(help);
    command.tokens = {{"show", "Show the state of the agent"}};
    command.run = [&inventory, run](CommandCall) { return run(inventory); };
    return command;
}

}  // namespace

std::vector<OpCommand> inventory_show_commands(Inventory& inventory) {
    std::vector<OpCommand> commands;
    commands.push_back(show("show machines", "Registered machines", inventory, show_machines));
    commands.push_back(show("show tenants", "Tenants and whose certificates are theirs", inventory, show_tenants));
    commands.push_back(show("show artifacts", "Artifact sets that machines netboot", inventory, show_artifacts));
    commands.push_back(show("show jobs", "Jobs, oldest first", inventory, show_jobs));
    commands.push_back(
        show("show unknown-machines", "Machines that asked and are not registered", inventory, show_unknown_machines));
    commands.push_back(show("show profiles", "What machines of one sort have in common", inventory, show_profiles));
    commands.push_back(show("show pools", "Pools of production prefixes", inventory, show_pools));
    commands.push_back(show("show allocations", "Production prefixes given to machines", inventory, show_allocations));
    commands.push_back({"show machine {name:word:@machines}",
                        "All about one machine",
                        {{"show", "Show the state of the agent"}, {"machine", "A machine"}, {"name", "Its name"}},
                        Role::kViewer,
                        [&inventory](CommandCall call) { return show_machine(inventory, std::move(call)); }});
    return commands;
}

}  // namespace nett
