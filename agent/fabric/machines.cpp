#include "agent/fabric/machines.hpp"

#include <algorithm>

#include "agent/sdk/log.hpp"
#include "agent/sdk/model.hpp"

namespace nett {

namespace {

const Logger kLog("fabric");

// The source of the machine's last boot; a history that is missing or unreadable says nothing.
std::string boot_source(const Store& store, const std::string& machine) {
    const auto record = store.get(kBootHistoryKind, machine);
    if (!record || !*record) return {};
    const auto history = decode<BootHistory>((*record)->value);
    return history ? history->last_boot.source : std::string();
}

KnownMachine known(const Store& store, const Machine& machine) {
    KnownMachine out;
    out.name = machine.name;
    out.macs = machine.macs;
    for (const auto& binding : machine.ports) out.bindings.push_back({binding.port, binding.prefix});
    out.production = machine.production.prefix;
    out.boot_source = boot_source(store, machine.name);
    return out;
}

const std::string& field(const Event& event, const std::string& name) {
    static const std::string kNone;
    const auto found = event.fields.find(name);
    return found == event.fields.end() ? kNone : found->second;
}

bool is_expected(const KnownMachine& machine, const std::string& port) {
    return machine.bindings.empty() || std::any_of(machine.bindings.begin(), machine.bindings.end(),
                                                   [&](const auto& binding) { return binding.port == port; });
}

// Another port where the prefix still is, and who says so.
std::optional<std::pair<std::string, std::string>> still_at(const FabricView& view, const std::string& prefix) {
    for (const auto& [name, origin] : view.origins()) {
        for (const auto& [known, since] : origin.prefixes) {
            if (known.prefix.to_string() == prefix) return std::pair(known.port, name);
        }
    }
    return std::nullopt;
}

}  // namespace

Result<std::vector<KnownMachine>> known_machines(const Store& store) {
    const auto records = store.list(kMachineKind);
    if (!records) return fail(records.error());
    std::vector<KnownMachine> out;
    for (const auto& record : *records) {
        const auto machine = decode<Machine>(record.value);
        if (!machine) return fail(machine.error());
        out.push_back(known(store, *machine));
    }
    return out;
}

Result<std::optional<KnownMachine>> machine_of_prefix(const Store& store, const Prefix6& prefix) {
    const auto record = store.find(kMachineKind, kProductionIndex, prefix.to_string());
    if (!record) return fail(record.error());
    if (!*record) return std::optional<KnownMachine>();
    const auto machine = decode<Machine>((*record)->value);
    if (!machine) return fail(machine.error());
    return std::optional<KnownMachine>(known(store, *machine));
}

MachineConditions::MachineConditions(EventBus& events, const Store& store, const FabricView& view)
    : events_(events), store_(store), view_(view) {
    subscription_ = events.subscribe("fabric.prefix", [this](const Event& event) { on_prefix(event); });
}

std::optional<MachineCondition> MachineConditions::of(const std::string& machine) const {
    const auto found = conditions_.find(machine);
    if (found == conditions_.end()) return std::nullopt;
    return found->second;
}

void MachineConditions::on_prefix(const Event& event) {
    const auto prefix = Prefix6::parse(field(event, "prefix"));
    if (!prefix) return;
    const auto machine = machine_of_prefix(store_, *prefix);
    if (!machine) {
        kLog.warning("cannot look for the machine of a prefix",
                     {{"prefix", prefix->to_string()}, {"error", machine.error()}});
        return;
    }
    if (!*machine) return;
    MachineCondition next{"present", field(event, "port"), field(event, "prefix"), field(event, "origin")};
    if (field(event, "state") == "down") {
        const auto elsewhere = still_at(view_, next.prefix);
        if (elsewhere) std::tie(next.port, next.origin) = *elsewhere;
        if (!elsewhere) next.state = "absent";
    }
    next.expected = is_expected(**machine, next.port);
    next.since = event.time;
    auto& known = conditions_[(*machine)->name];
    const bool changed = known.state != next.state || known.expected != next.expected;
    if (!changed) next.since = known.since;
    known = next;
    if (!changed) return;
    events_.publish({"machine.fabric",
                     (*machine)->name,
                     next.state == "absent" ? fmt::format("{} is no longer announced", next.prefix)
                     : next.expected
                         ? fmt::format("announces {} behind {}", next.prefix, next.port)
                         : fmt::format("announces {} behind {}, where it is not expected", next.prefix, next.port),
                     {{"machine", (*machine)->name},
                      {"prefix", next.prefix},
                      {"port", next.port},
                      {"state", next.state},
                      {"expected", next.expected ? "yes" : "no"},
                      {"origin", next.origin}}});
}

}  // namespace nett
