#include "agent/api/convert.hpp"

#include "agent/api/time.hpp"
#include "proto/enumerations.hpp"

namespace nett {

namespace {

template <typename Repeated>
std::vector<std::string> texts_of(const Repeated& repeated) {
    return {repeated.begin(), repeated.end()};
}

// The epoch stands for "never" and is left out.
template <typename Message>
void set_time_unless_never(SystemTime time, google::protobuf::Timestamp* (*mutable_time)(Message&), Message& out) {
    if (time != SystemTime{}) set_timestamp(time, mutable_time(out));
}

}  // namespace

v1::Tenant to_proto(const Tenant& value) {
    v1::Tenant out;
    out.set_name(value.name);
    for (const auto& text : value.common_names) out.add_common_names(text);
    for (const auto& text : value.common_name_suffixes) out.add_common_name_suffixes(text);
    for (const auto& text : value.organizational_units) out.add_organizational_units(text);
    out.set_machine_quota(value.machine_quota);
    for (const auto& rule : value.auto_enrol) {
        auto* added = out.add_auto_enrol();
        for (const auto& port : rule.ports) added->add_ports(port);
        for (const auto& uuid : rule.uuids) added->add_uuids(uuid);
        for (const auto& prefix : rule.mac_prefixes) added->add_mac_prefixes(prefix);
        added->set_profile(rule.profile);
        added->set_name_pattern(rule.name_pattern);
    }
    return out;
}

Tenant from_proto(const v1::Tenant& message) {
    Tenant out;
    out.name = message.name();
    out.common_names = texts_of(message.common_names());
    out.common_name_suffixes = texts_of(message.common_name_suffixes());
    out.organizational_units = texts_of(message.organizational_units());
    out.machine_quota = message.machine_quota();
    for (const auto& rule : message.auto_enrol()) {
        out.auto_enrol.push_back({texts_of(rule.ports()), texts_of(rule.uuids()), texts_of(rule.mac_prefixes()),
                                  rule.profile(), rule.name_pattern()});
    }
    return out;
}

namespace {

void set_lifecycle(const Machine& value, v1::Machine& out) {
    out.set_profile(value.profile);
    out.set_state_actor(value.state_actor);
    out.set_state_reason(value.state_reason);
    out.set_wipe_pending(value.wipe_pending);
    if (!value.hold.reason.empty()) {
        out.mutable_hold()->set_reason(value.hold.reason);
        set_timestamp(value.hold.since, out.mutable_hold()->mutable_since());
    }
    if (value.erase.fetched != SystemTime{}) {
        set_timestamp(value.erase.fetched, out.mutable_erase()->mutable_fetched());
    }
    if (value.erase.reported != SystemTime{}) {
        set_timestamp(value.erase.reported, out.mutable_erase()->mutable_reported());
        out.mutable_erase()->set_proof(value.erase.proof);
    }
    if (value.production.mode == ProductionMode::kNone) return;
    auto* production = out.mutable_production();
    production->set_mode(static_cast<v1::ProductionMode>(value.production.mode));  // numbered alike
    production->set_pool(value.production.pool);
    production->set_prefix(value.production.prefix);
}

static_assert(static_cast<int>(ProductionMode::kNetbox) == v1::PRODUCTION_MODE_NETBOX);

Result<ProductionPrefix> from_proto(const v1::Production& message) {
    if (message.mode() < v1::PRODUCTION_MODE_NONE || message.mode() > v1::PRODUCTION_MODE_NETBOX) {
        return fail(Code::kInvalidArgument, "there is no production mode number {}", static_cast<int>(message.mode()));
    }
    return ProductionPrefix{static_cast<ProductionMode>(message.mode()), message.pool(), message.prefix()};
}

}  // namespace

v1::Machine to_proto(const MachineView& view) {
    const auto& value = view.value;
    v1::Machine out;
    out.set_name(value.name);
    out.set_tenant(value.tenant);
    out.set_uuid(value.uuid);
    for (const auto& mac : value.macs) out.add_macs(mac);
    out.set_serial(value.serial);
    out.set_state(to_proto(value.state));
    set_time_unless_never<v1::Machine>(
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
        if (port.prefix.length() > 0) added->set_prefix(port.prefix.to_string());
    }
    out.set_bmc(value.bmc);
    out.set_boots(view.boots.boots);
    const auto& last = view.boots.last_boot;
    set_time_unless_never<v1::Machine>(
        last.time, [](v1::Machine& m) { return m.mutable_last_boot_time(); }, out);
    out.set_last_boot_source(last.source);
    out.set_last_boot_outcome(last.outcome);
    out.set_revision(view.revision);
    set_lifecycle(value, out);
    for (const auto time : view.boots.recent) set_timestamp(time, out.add_recent_netboots());
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
        out.ports.push_back({port.port(), {}});
        if (port.prefix().empty()) continue;  // the one that the switch advertises
        auto prefix = Prefix6::parse(port.prefix());
        if (!prefix) return fail(std::move(prefix.error()).in(fmt::format("port \"{}\"", port.port())));
        out.ports.back().prefix = *prefix;
    }
    out.bmc = message.bmc();
    out.profile = message.profile();
    auto production = from_proto(message.production());
    if (!production) return fail(std::move(production.error()));
    out.production = std::move(*production);
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

v1::UnknownMachine to_proto(const UnknownMachine& value) {
    v1::UnknownMachine out;
    out.set_id(value.id);
    out.set_tenant(value.tenant);
    out.set_source(value.source);
    set_timestamp(value.first_seen, out.mutable_first_seen());
    set_timestamp(value.last_seen, out.mutable_last_seen());
    out.set_requests(value.requests);
    out.set_uuid(value.uuid);
    for (const auto& mac : value.macs) out.add_macs(mac);
    out.set_serial(value.serial);
    out.set_port(value.port);
    return out;
}

v1::Profile to_proto(const Stored<Profile>& stored) {
    const auto& value = stored.value;
    v1::Profile out;
    out.set_tenant(value.tenant);
    out.set_name(value.name);
    out.set_artifact_set(value.artifact_set);
    out.set_rescue_set(value.rescue_set);
    out.set_erase_set(value.erase_set);
    out.set_kernel_args(value.kernel_args);
    out.set_prefix_pool(value.prefix_pool);
    if (value.delivery) out.set_delivery(to_proto(*value.delivery));
    for (const auto& [kind, text] : value.templates) (*out.mutable_templates())[kind] = text;
    for (const auto& [state, limit] : value.deadlines) {
        auto* added = out.add_deadlines();
        added->set_state(to_proto(state));
        added->set_seconds(static_cast<std::uint32_t>(limit.count()));
    }
    out.set_confirm(to_proto(value.confirm));
    out.mutable_boot_loop()->set_boots(value.boot_loop.boots);
    out.mutable_boot_loop()->set_minutes(value.boot_loop.minutes);
    out.set_revision(stored.revision);
    return out;
}

Result<Profile> from_proto(const v1::Profile& message) {
    Profile out{message.tenant(),    message.name(),        message.artifact_set(), message.rescue_set(),
                message.erase_set(), message.kernel_args(), message.prefix_pool()};
    if (message.has_delivery()) {
        auto delivery = from_proto(message.delivery());
        if (!delivery) return fail(std::move(delivery.error()));
        out.delivery = *delivery;
    }
    for (const auto& [kind, text] : message.templates()) out.templates[kind] = text;
    out.deadlines.clear();
    for (const auto& deadline : message.deadlines()) {
        const auto state = from_proto(deadline.state());
        if (!state) return fail(state.error());
        out.deadlines[*state] = std::chrono::seconds(deadline.seconds());
    }
    const auto confirm = from_proto(message.confirm());
    if (!confirm) return fail(confirm.error());
    out.confirm = *confirm;
    if (message.has_boot_loop()) out.boot_loop = {message.boot_loop().boots(), message.boot_loop().minutes()};
    return out;
}

v1::PrefixPool to_proto(const PoolView& view) {
    v1::PrefixPool out;
    out.set_name(view.value.name);
    out.set_tenant(view.value.tenant);
    out.set_prefix(view.value.prefix.to_string());
    out.set_length(view.value.length);
    out.set_allocated(view.allocated);
    out.set_capacity(view.capacity);
    out.set_revision(view.revision);
    return out;
}

Result<PrefixPool> from_proto(const v1::PrefixPool& message) {
    auto prefix = Prefix6::parse(message.prefix());
    if (!prefix) return fail(std::move(prefix.error()).in("prefix pool"));
    return PrefixPool{message.name(), message.tenant(), *prefix, message.length()};
}

v1::Allocation to_proto(const Allocation& value) {
    v1::Allocation out;
    out.set_pool(value.pool);
    out.set_machine(value.machine);
    out.set_prefix(value.prefix.to_string());
    set_timestamp(value.since, out.mutable_since());
    return out;
}

}  // namespace nett
