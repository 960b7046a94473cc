// Codecs of machines, their configs and boots, and of machines that nobody registered.
#include "agent/sdk/enrol.hpp"
#include "agent/sdk/identity.hpp"
#include "agent/sdk/model_codec.hpp"

namespace nett {

using namespace codec;

json::value to_json(const Machine& value) {
    auto out = start();
    out["name"] = value.name;
    out["tenant"] = value.tenant;
    out["uuid"] = value.uuid;
    out["macs"] = array_of(value.macs);
    out["serial"] = value.serial;
    out["profile"] = value.profile;
    out["state"] = to_string(value.state);
    out["state_since"] = to_rfc3339(value.state_since);
    out["state_actor"] = value.state_actor;
    out["state_reason"] = value.state_reason;
    out["locked"] = value.locked;
    out["wipe_pending"] = value.wipe_pending;
    out["hold"] = {{"reason", value.hold.reason},
                   {"since", to_rfc3339(value.hold.since)},
                   {"released", to_rfc3339(value.hold.released)}};
    out["erase"] = {{"fetched", to_rfc3339(value.erase.fetched)},
                    {"reported", to_rfc3339(value.erase.reported)},
                    {"proof", value.erase.proof}};
    out["artifact_set"] = value.artifact_set;
    out["kernel_args"] = value.kernel_args;
    out["delivery"] = to_string(value.delivery);
    out["config_sha256"] = value.config_sha256;
    out["config_size"] = value.config_size;
    json::array ports;
    for (const auto& port : value.ports) {
        json::object binding{{"port", port.port}};
        if (port.prefix.length() > 0) binding["prefix"] = port.prefix.to_string();
        ports.push_back(std::move(binding));
    }
    out["ports"] = std::move(ports);
    out["bmc"] = value.bmc;
    out["production"] = {{"mode", to_string(value.production.mode)},
                         {"pool", value.production.pool},
                         {"prefix", value.production.prefix}};
    return out;
}

template <>
Result<Machine> decode<Machine>(std::string_view json_text) {
    return decode_with<Machine>(json_text, "machine", [](Reader& in, Machine& out) {
        in.text("name", out.name);
        in.text("tenant", out.tenant);
        in.text("uuid", out.uuid);
        in.texts("macs", out.macs);
        in.text("serial", out.serial);
        in.text("profile", out.profile);
        in.parsed("state", out.state, parse_machine_state);
        in.time("state_since", out.state_since);
        in.text("state_actor", out.state_actor);
        in.text("state_reason", out.state_reason);
        in.flag("locked", out.locked);
        in.flag("wipe_pending", out.wipe_pending);
        in.one_object("hold", [&](Reader& hold) {
            hold.text("reason", out.hold.reason);
            hold.time("since", out.hold.since);
            hold.time("released", out.hold.released);
        });
        in.one_object("erase", [&](Reader& erase) {
            erase.time("fetched", out.erase.fetched);
            erase.time("reported", out.erase.reported);
            erase.text("proof", out.erase.proof);
        });
        in.text("artifact_set", out.artifact_set);
        in.text("kernel_args", out.kernel_args);
        in.parsed("delivery", out.delivery, parse_config_delivery);
        in.text("config_sha256", out.config_sha256);
        in.number("config_size", out.config_size);
        in.each_object("ports", [&](Reader& port) {
            PortBinding binding;
            port.text("port", binding.port);
            port.parsed("prefix", binding.prefix, Prefix6::parse);
            out.ports.push_back(std::move(binding));
        });
        in.text("bmc", out.bmc);
        in.one_object("production", [&](Reader& production) {
            production.parsed("mode", out.production.mode, parse_production_mode);
            production.text("pool", out.production.pool);
            production.text("prefix", out.production.prefix);
        });
    });
}

Transaction::Put put_of(const Machine& value) {
    auto put = plain_put(kMachineKind, value.name, value);
    const auto unique = [&](std::string_view index, const std::string& one) {
        if (!one.empty()) put.indexes.push_back({std::string(index), one});
    };
    const auto grouped = [&](std::string_view index, const std::string& group) {
        if (!group.empty()) add_group(put, index, group);
    };
    unique(kUuidIndex, value.uuid);
    for (const auto& mac : value.macs) unique(kMacIndex, mac);
    if (is_usable_serial(value.serial)) unique(kSerialIndex, value.serial);
    unique(kProductionIndex, value.production.prefix);
    grouped(kTenantIndex, value.tenant);
    grouped(kArtifactSetIndex, value.artifact_set);
    grouped(kBmcIndex, value.bmc);
    grouped(kProfileIndex, value.profile);
    return put;
}

json::value to_json(const MachineConfig& value) {
    auto out = start();
    out["machine"] = value.machine;
    out["sealed"] = value.sealed;
    out["sha256"] = value.sha256;
    out["size"] = value.size;
    return out;
}

template <>
Result<MachineConfig> decode<MachineConfig>(std::string_view json_text) {
    return decode_with<MachineConfig>(json_text, "machine config", [](Reader& in, MachineConfig& out) {
        in.text("machine", out.machine);
        in.text("sealed", out.sealed);
        in.text("sha256", out.sha256);
        in.number("size", out.size);
    });
}

std::string machine_config_context(std::string_view machine) {
    return fmt::format("machine/{}/config", machine);
}

Transaction::Put put_of(const MachineConfig& value) {
    return plain_put(kMachineConfigKind, value.machine, value);
}

json::value to_json(const BootHistory& value) {
    auto out = start();
    out["machine"] = value.machine;
    out["boots"] = value.boots;
    out["last_boot_time"] = to_rfc3339(value.last_boot.time);
    out["last_boot_source"] = value.last_boot.source;
    out["last_boot_outcome"] = value.last_boot.outcome;
    if (!value.last_boot.boot_id.empty()) out["last_boot_id"] = value.last_boot.boot_id;
    json::array recent;
    for (const auto time : value.recent) recent.emplace_back(to_rfc3339(time));
    out["recent"] = std::move(recent);
    return out;
}

template <>
Result<BootHistory> decode<BootHistory>(std::string_view json_text) {
    return decode_with<BootHistory>(json_text, "boot history", [](Reader& in, BootHistory& out) {
        in.text("machine", out.machine);
        in.number("boots", out.boots);
        in.time("last_boot_time", out.last_boot.time);
        in.text("last_boot_source", out.last_boot.source);
        in.text("last_boot_outcome", out.last_boot.outcome);
        in.text("last_boot_id", out.last_boot.boot_id);
        in.each_parsed("recent", out.recent, parse_rfc3339);
    });
}

Transaction::Put put_of(const BootHistory& value) {
    return plain_put(kBootHistoryKind, value.machine, value);
}

std::string unknown_machine_key(std::string_view tenant, std::string_view id) {
    return fmt::format("{}/{}", tenant, id);
}

json::value to_json(const UnknownMachine& value) {
    auto out = start();
    out["id"] = value.id;
    out["tenant"] = value.tenant;
    out["source"] = value.source;
    out["first_seen"] = to_rfc3339(value.first_seen);
    out["last_seen"] = to_rfc3339(value.last_seen);
    out["requests"] = value.requests;
    out["uuid"] = value.uuid;
    out["macs"] = array_of(value.macs);
    out["serial"] = value.serial;
    out["port"] = value.port;
    return out;
}

template <>
Result<UnknownMachine> decode<UnknownMachine>(std::string_view json_text) {
    return decode_with<UnknownMachine>(json_text, "unknown machine", [](Reader& in, UnknownMachine& out) {
        in.text("id", out.id);
        in.text("tenant", out.tenant);
        in.text("source", out.source);
        in.time("first_seen", out.first_seen);
        in.time("last_seen", out.last_seen);
        in.number("requests", out.requests);
        in.text("uuid", out.uuid);
        in.texts("macs", out.macs);
        in.text("serial", out.serial);
        in.text("port", out.port);
    });
}

Transaction::Put put_of(const UnknownMachine& value) {
    auto put = plain_put(kUnknownMachineKind, unknown_machine_key(value.tenant, value.id), value);
    add_group(put, kUnknownIdIndex, value.id);
    if (!value.tenant.empty()) add_group(put, kTenantIndex, value.tenant);
    return put;
}

}  // namespace nett
