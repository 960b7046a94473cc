#include "plugins/metadata/machines.hpp"

#include <algorithm>

namespace nett::metadata {

namespace {

Result<std::optional<FoundMachine>> find_by(const Store& store, const std::string& tenant, std::string_view index,
                                            const std::string& value) {
    auto record = store.find(kMachineKind, index, value);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return std::nullopt;
    auto machine = decode<Machine>((*record)->value);
    if (!machine) return fail(std::move(machine.error()).in("machine " + (*record)->key));
    if (machine->tenant != tenant) return std::nullopt;
    std::string url_id = value;
    std::replace(url_id.begin(), url_id.end(), ':', '-');
    return FoundMachine{(*record)->key, std::move(url_id), std::move(*machine)};
}

}  // namespace

Result<std::optional<FoundMachine>> find_machine(const Store& store, const std::string& tenant, const MachineId& id) {
    if (id.uuid) {
        auto found = find_by(store, tenant, kUuidIndex, *id.uuid);
        if (!found || *found) return found;
    }
    if (id.mac) return find_by(store, tenant, kMacIndex, *id.mac);
    return std::nullopt;
}

bool is_expected_source(const Machine& machine, const Address6& source) {
    return machine.ports.empty() || std::any_of(machine.ports.begin(), machine.ports.end(),
                                                [&](const auto& port) { return port.prefix.contains(source); });
}

}  // namespace nett::metadata
