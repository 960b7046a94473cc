#include "agent/api/convert.hpp"

#include "agent/api/time.hpp"

namespace nett {

namespace {

template <typename Repeated>
std::vector<std::string> texts_of(const Repeated& repeated) {
    return {repeated.begin(), repeated.end()};
}

// The epoch stands for "never" and is left out.
void set_time_unless_never(SystemTime time, google::protobuf::Timestamp* (*mutable_time)(v1::Machine&),
                           v1::Machine& out) {
    if (time != SystemTime{}) set_timestamp(time, mutable_time(out));
}

v1::MachineState to_proto(MachineState state) {
    switch (state) {
        case MachineState::kNew:
            return v1::MACHINE_STATE_NEW;
        case MachineState::kProvisioning:
            return v1::MACHINE_STATE_PROVISIONING;
        case MachineState::kActive:
            return v1::MACHINE_STATE_ACTIVE;
        case MachineState::kReprovision:
            return v1::MACHINE_STATE_REPROVISION;
        case MachineState::kMaintenance:
            return v1::MACHINE_STATE_MAINTENANCE;
        case MachineState::kDecommission:
            return v1::MACHINE_STATE_DECOMMISSION;
    }
    return v1::MACHINE_STATE_UNSPECIFIED;
}

v1::ConfigDelivery to_proto(ConfigDelivery delivery) {
    switch (delivery) {
        case ConfigDelivery::kEmbedded:
            return v1::CONFIG_DELIVERY_EMBEDDED;
        case ConfigDelivery::kToken:
            return v1::CONFIG_DELIVERY_TOKEN;
        case ConfigDelivery::kUrl:
            return v1::CONFIG_DELIVERY_URL;
    }
    return v1::CONFIG_DELIVERY_UNSPECIFIED;
}

Result<ConfigDelivery> from_proto(v1::ConfigDelivery delivery) {
    switch (delivery) {
        case v1::CONFIG_DELIVERY_UNSPECIFIED:
        case v1::CONFIG_DELIVERY_EMBEDDED:
            return ConfigDelivery::kEmbedded;
        case v1::CONFIG_DELIVERY_TOKEN:
            return ConfigDelivery::kToken;
        case v1::CONFIG_DELIVERY_URL:
            return ConfigDelivery::kUrl;
        default:
            return fail(Code::kInvalidArgument, "there is no config delivery number {}", static_cast<int>(delivery));
    }
}

}  // namespace

Result<MachineState> from_proto(v1::MachineState state) {
    switch (state) {
        case v1::MACHINE_STATE_NEW:
            return MachineState::kNew;
        case v1::MACHINE_STATE_PROVISIONING:
            return MachineState::kProvisioning;
        case v1::MACHINE_STATE_ACTIVE:
            return MachineState::kActive;
        case v1::MACHINE_STATE_REPROVISION:
            return MachineState::kReprovision;
        case v1::MACHINE_STATE_MAINTENANCE:
            return MachineState::kMaintenance;
        case v1::MACHINE_STATE_DECOMMISSION:
            return MachineState::kDecommission;
        default:
            return fail(Code::kInvalidArgument, "the machine state is missing or unknown (number {})",
                        static_cast<int>(state));
    }
}

v1::Tenant to_proto(const Tenant& value) {
    v1::Tenant out;
    out.set_name(value.name);
    for (const auto& text : value.common_names) out.add_common_names(text);
    for (const auto& text : value.common_name_suffixes) out.add_common_name_suffixes(text);
    for (const auto& text : value.organizational_units) out.add_organizational_units(text);
    out.set_machine_quota(value.machine_quota);
    return out;
}

Tenant from_proto(const v1::Tenant& message) {
    return {message.name(), texts_of(message.common_names()), texts_of(message.common_name_suffixes()),
            texts_of(message.organizational_units()), message.machine_quota()};
}

v1::Machine to_proto(const MachineView& view) {
    const auto& value = view.value;
    v1::Machine out;
    out.set_name(value.name);
    out.set_tenant(value.tenant);
    out.set_uuid(value.uuid);
    for (const auto& mac : value.macs) out.add_macs(mac);
    out.set_serial(value.serial);
    out.set_state(to_proto(value.state));
    set_time_unless_never(
        value.state_since, [](v1::Machine& m) { return m.mutable_state_since(); }, out);
    out.set_locked(value.locked);
    out.set_artifact_set(value.artifact_set);
    out.set_kernel_args(value.kernel_args);
    out.set_delivery(to_proto(value.delivery));
    out.set_config_sha256(value.config_sha256);
    out.set_config_size(value.config_size);
    for (const auto& port : value.ports) {
        auto* added = out.add_ports();
        added->set_port(port.port);
        added->set_prefix(port.prefix.to_string());
    }
    out.set_bmc(value.bmc);
    out.set_boots(view.boots.boots);
    const auto& last = view.boots.last_boot;
    set_time_unless_never(
        last.time, [](v1::Machine& m) { return m.mutable_last_boot_time(); }, out);
    out.set_last_boot_source(last.source);
    out.set_last_boot_outcome(last.outcome);
    out.set_revision(view.revision);
    return out;
}

Result<Machine> from_proto(const v1::Machine& message) {
    Machine out;
    out.name = message.name();
    out.tenant = message.tenant();
    out.uuid = message.uuid();
    out.macs = texts_of(message.macs());
    out.serial = message.serial();
    out.artifact_set = message.artifact_set();
    out.kernel_args = message.kernel_args();
    auto delivery = from_proto(message.delivery());
    if (!delivery) return fail(std::move(delivery.error()));
    out.delivery = *delivery;
    for (const auto& port : message.ports()) {
        auto prefix = Prefix6::parse(port.prefix());
        if (!prefix) return fail(std::move(prefix.error()).in(fmt::format("port \"{}\"", port.port())));
        out.ports.push_back({port.port(), *prefix});
    }
    out.bmc = message.bmc();
    return out;
}

v1::ArtifactSet to_proto(const ArtifactSet& value) {
    v1::ArtifactSet out;
    out.set_name(value.name);
    out.set_version(value.version);
    out.set_architecture(value.architecture);
    out.set_schematic(value.schematic);
    out.set_command_line(value.command_line);
    for (const auto& file : value.files) {
        auto* added = out.add_files();
        added->set_name(file.name);
        added->set_sha256(file.sha256);
        added->set_size(file.size);
    }
    out.set_kernel(value.kernel);
    out.set_initramfs(value.initramfs);
    out.set_extension_layers(value.extension_layers);
    return out;
}

ArtifactSet from_proto(const v1::ArtifactSet& message) {
    ArtifactSet out{message.name(),      message.version(),      message.architecture(),
                    message.schematic(), message.command_line(), {},
                    message.kernel(),    message.initramfs(),    message.extension_layers()};
    for (const auto& file : message.files()) out.files.push_back({file.name(), file.sha256(), file.size()});
    return out;
}

v1::Bmc to_proto(const Bmc& value) {
    v1::Bmc out;
    out.set_name(value.name);
    out.set_endpoint(value.endpoint);
    out.set_username(value.username);
    out.set_system_path(value.system_path);
    out.set_ca_file(value.ca_file);
    out.set_pinned_sha256(value.pinned_sha256);
    return out;
}

Bmc from_proto(const v1::Bmc& message) {
    Bmc out;
    out.name = message.name();
    out.endpoint = message.endpoint();
    out.username = message.username();
    out.system_path = message.system_path();
    out.ca_file = message.ca_file();
    out.pinned_sha256 = message.pinned_sha256();
    return out;
}

v1::Job to_proto(const Job& value) {
    v1::Job out;
    out.set_id(value.id);
    out.set_type(value.type);
    out.set_machine(value.machine);
    out.set_state(value.state);
    out.set_message(value.message);
    for (const auto& [key, text] : value.parameters) (*out.mutable_parameters())[key] = text;
    set_timestamp(value.created, out.mutable_created());
    set_timestamp(value.updated, out.mutable_updated());
    return out;
}

}  // namespace nett
