#include "plugins/metadata/machines.hpp"

#include <algorithm>

#include <boost/json/serialize.hpp>

namespace nett::metadata {

namespace {

// What a look-up that finds nothing decodes instead.
const std::string& decoy() {
    static const std::string text = [] {
        Machine machine;
        machine.name = "decoy";
        machine.tenant = "decoy";
        machine.uuid = "00000000-0000-0000-0000-000000000000";
        machine.macs = {"00:00:00:00:00:00", "00:00:00:00:00:01"};
        machine.serial = "00000000";
        machine.artifact_set = "decoy";
        machine.config_sha256 = std::string(64, '0');
        return boost::json::serialize(to_json(machine));
    }();
    return text;
}

std::string url_id_of(const Machine& machine, std::string_view index, const std::string& value) {
    std::string id = value;
    if (index != kUuidIndex && index != kMacIndex) {
        id = machine.uuid.empty() && !machine.macs.empty() ? machine.macs.front() : machine.uuid;
    }
    std::replace(id.begin(), id.end(), ':', '-');
    return id;
}

// A miss reads and decodes a record too, so that its time does not tell a foreign machine from none.
Result<std::optional<FoundMachine>> find_by(const Store& store, const std::string& tenant, std::string_view index,
                                            const std::string& value) {
    auto record = store.find(kMachineKind, index, value);
    if (!record) return fail(std::move(record.error()));
    const bool there = record->has_value();
    if (!there) {
        auto read = store.get(kTenantKind, tenant);
        if (!read) return fail(std::move(read.error()));
    }
    auto machine = decode<Machine>(there ? (*record)->value : decoy());
    if (!there) return std::nullopt;
    if (!machine) return fail(std::move(machine.error()).in("machine " + (*record)->key));
    if (machine->tenant != tenant) return std::nullopt;
    std::string url_id = url_id_of(*machine, index, value);
    return FoundMachine{(*record)->key, std::move(url_id), std::move(*machine), (*record)->revision};
}

}  // namespace

std::string swapped_uuid(const std::string& canonical) {
    std::string out = canonical;
    const auto swap_bytes = [&](std::size_t to, std::size_t from) {
        out[to] = canonical[from];
        out[to + 1] = canonical[from + 1];
    };
    for (const std::size_t i : {0, 2, 4, 6}) swap_bytes(i, 6 - i);
    for (const std::size_t field : {9, 14}) {
        swap_bytes(field, field + 2);
        swap_bytes(field + 2, field);
    }
    return out;
}

Result<std::optional<FoundMachine>> find_machine(const Store& store, const std::string& tenant, const AskedId& asked) {
    if (const auto& uuid = asked.id.uuid) {
        for (const auto& one : {*uuid, swapped_uuid(*uuid)}) {
            auto found = find_by(store, tenant, kUuidIndex, one);
            if (!found || *found) return found;
        }
    }
    if (asked.id.mac) {
        auto found = find_by(store, tenant, kMacIndex, *asked.id.mac);
        if (!found || *found) return found;
    }
    if (asked.serial.empty()) return std::nullopt;
    return find_by(store, tenant, kSerialIndex, asked.serial);
}

const PortBinding* fitting_port(const Machine& machine, const Address6& source, const std::string& port) {
    for (const auto& binding : machine.ports) {
        const bool is_open = binding.prefix.length() == 0;
        if (is_open ? binding.port == port : binding.prefix.contains(source)) return &binding;
    }
    return nullptr;
}

bool is_expected_source(const Machine& machine, const Address6& source, const std::string& port) {
    return machine.ports.empty() || fitting_port(machine, source, port) != nullptr;
}

}  // namespace nett::metadata
