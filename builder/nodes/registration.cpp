#include "builder/nodes/registration.hpp"

#include <algorithm>
#include <set>

#include <google/protobuf/util/message_differencer.h>

#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/talos/node_config.hpp"

namespace nett::builder {
namespace {

using google::protobuf::util::MessageDifferencer;

template <typename Message>
const Message* find(const std::map<std::string, Message>& in, const std::string& name) {
    const auto found = in.find(name);
    return found == in.end() ? nullptr : &found->second;
}

template <typename Message>
bool same(const Message* present, const Message& wanted) {
    return present != nullptr && MessageDifferencer::Equals(*present, wanted);
}

v1::ConfigDelivery delivery_of(const std::string& text) {
    if (text == "token") return v1::CONFIG_DELIVERY_TOKEN;
    if (text == "url") return v1::CONFIG_DELIVERY_URL;
    return v1::CONFIG_DELIVERY_EMBEDDED;
}

v1::MachineState state_of(const std::string& text) {
    static const std::map<std::string, v1::MachineState> states{{"new", v1::MACHINE_STATE_NEW},
                                                                {"provisioning", v1::MACHINE_STATE_PROVISIONING},
                                                                {"reprovision", v1::MACHINE_STATE_REPROVISION},
                                                                {"maintenance", v1::MACHINE_STATE_MAINTENANCE},
                                                                {"decommission", v1::MACHINE_STATE_DECOMMISSION}};
    return states.at(text);
}

v1::Tenant tenant_of(const TenantEntry& entry, const v1::Tenant* present) {
    v1::Tenant tenant;
    tenant.set_name(entry.name);
    tenant.mutable_common_names()->Assign(entry.common_names.begin(), entry.common_names.end());
    tenant.mutable_common_name_suffixes()->Assign(entry.common_name_suffixes.begin(), entry.common_name_suffixes.end());
    tenant.mutable_organizational_units()->Assign(entry.organizational_units.begin(), entry.organizational_units.end());
    tenant.set_machine_quota(entry.machine_quota);
    // The file does not speak of it: whoever set it up keeps it.
    if (present != nullptr) *tenant.mutable_auto_enrol() = present->auto_enrol();
    return tenant;
}

v1::PrefixPool pool_of(const PoolEntry& entry) {
    v1::PrefixPool pool;
    pool.set_name(entry.name);
    pool.set_tenant(entry.tenant);
    pool.set_prefix(entry.prefix);
    pool.set_length(entry.length);
    return pool;
}

v1::Profile profile_of(const ProfileEntry& entry, const Inputs& inputs, const v1::Profile* present) {
    v1::Profile profile;
    profile.set_name(entry.name);
    profile.set_tenant(entry.tenant);
    profile.set_artifact_set(entry.artifact_set);
    profile.set_rescue_set(entry.rescue_set);
    profile.set_erase_set(entry.erase_set);
    profile.set_kernel_args(entry.kernel_args);
    profile.set_prefix_pool(entry.prefix_pool);
    if (!entry.delivery.empty()) profile.set_delivery(delivery_of(entry.delivery));
    profile.set_confirm(entry.confirm == "fabric"           ? v1::CONFIRM_BY_FABRIC
                        : entry.confirm == "config-fetched" ? v1::CONFIRM_BY_CONFIG_FETCHED
                                                            : v1::CONFIRM_BY_API);
    for (const auto& [name, path] : entry.templates) (*profile.mutable_templates())[name] = inputs.texts.at(path);
    for (const auto& [state, seconds] : entry.deadlines) {
        auto* deadline = profile.add_deadlines();
        deadline->set_state(state_of(state));
        deadline->set_seconds(seconds);
    }
    // In the order of states, as the agent has them.
    auto& deadlines = *profile.mutable_deadlines();
    std::sort(deadlines.begin(), deadlines.end(), [](const auto& a, const auto& b) { return a.state() < b.state(); });
    if (entry.boot_loop) {
        profile.mutable_boot_loop()->set_boots(entry.boot_loop->first);
        profile.mutable_boot_loop()->set_minutes(entry.boot_loop->second);
    } else if (present != nullptr && present->has_boot_loop()) {
        *profile.mutable_boot_loop() = present->boot_loop();
    }
    if (entry.deadlines.empty() && present != nullptr) *profile.mutable_deadlines() = present->deadlines();
    return profile;
}

v1::ArtifactSet set_of(const ArtifactEntry& entry, const ArtifactFiles& files) {
    v1::ArtifactSet set;
    set.set_name(entry.name);
    set.set_version(entry.version);
    set.set_architecture(entry.architecture);
    set.set_schematic(entry.schematic);
    set.set_command_line(entry.command_line);
    for (const LocalFile* file : {&files.kernel, &files.initramfs}) {
        auto* added = set.add_files();
        added->set_name(file->name);
        added->set_sha256(file->sha256);
        added->set_size(file->size);
    }
    set.set_kernel(files.kernel.name);
    set.set_initramfs(files.initramfs.name);
    set.set_extension_layers(files.extension_layers);
    return set;
}

v1::Bmc bmc_of(const NodeEntry& node, const v1::Bmc* present) {
    v1::Bmc bmc;
    bmc.set_name(node.name);
    bmc.set_endpoint(node.bmc->endpoint);
    bmc.set_username(node.bmc->username);
    bmc.set_system_path(node.bmc->system_path);
    bmc.set_ca_file(node.bmc->ca_file);
    bmc.set_pinned_sha256(node.bmc->pinned_sha256);
    // A certificate that was pinned when it was first seen stays.
    const bool keep = present != nullptr && present->endpoint() == bmc.endpoint() && bmc.pinned_sha256().empty() &&
                      bmc.ca_file().empty();
    if (keep) bmc.set_pinned_sha256(present->pinned_sha256());
    return bmc;
}

// What the agent found out by itself stays where the file says nothing.
void keep_identity(const v1::Machine& present, v1::Machine& machine) {
    if (machine.uuid().empty()) machine.set_uuid(present.uuid());
    if (machine.serial().empty()) machine.set_serial(present.serial());
    if (machine.macs().empty()) *machine.mutable_macs() = present.macs();
}

v1::Machine machine_of(const NodeEntry& node, const v1::Machine* present) {
    v1::Machine machine;
    machine.set_name(node.name);
    machine.set_tenant(node.tenant);
    machine.set_uuid(node.uuid);
    machine.mutable_macs()->Assign(node.macs.begin(), node.macs.end());
    machine.set_serial(node.serial);
    if (present != nullptr) keep_identity(*present, machine);
    machine.set_profile(node.profile);
    machine.set_artifact_set(node.artifact_set);
    machine.set_kernel_args(node.kernel_args);
    machine.set_delivery(delivery_of(node.delivery));
    for (const auto& [port, prefix] : node.ports) {
        auto* binding = machine.add_ports();
        binding->set_port(port);
        binding->set_prefix(prefix);
    }
    if (node.bmc) machine.set_bmc(node.name);
    auto& production = *machine.mutable_production();
    switch (node.production) {
        case ProductionFrom::kNone:
            break;
        case ProductionFrom::kStatic:
            production.set_mode(v1::PRODUCTION_MODE_STATIC);
            production.set_prefix(node.production_value);
            break;
        case ProductionFrom::kPool:
            production.set_mode(v1::PRODUCTION_MODE_POOL);
            production.set_pool(node.production_value);
            break;
        case ProductionFrom::kNetbox:
            production.set_mode(v1::PRODUCTION_MODE_NETBOX);
            break;
    }
    return machine;
}

// The registration's part of a machine's record.
v1::Machine registered_part(const v1::Machine& machine) {
    v1::Machine part;
    part.set_name(machine.name());
    part.set_tenant(machine.tenant());
    part.set_uuid(machine.uuid());
    *part.mutable_macs() = machine.macs();
    part.set_serial(machine.serial());
    part.set_profile(machine.profile());
    part.set_artifact_set(machine.artifact_set());
    part.set_kernel_args(machine.kernel_args());
    part.set_delivery(machine.delivery());
    *part.mutable_ports() = machine.ports();
    part.set_bmc(machine.bmc());
    *part.mutable_production() = machine.production();
    if (machine.production().mode() != v1::PRODUCTION_MODE_STATIC) part.mutable_production()->clear_prefix();
    return part;
}

// As far as it is known: the file's, or what a pool or NetBox has given.
std::string prefix_of(const NodeEntry& node, const v1::Machine* present) {
    if (node.production == ProductionFrom::kStatic) return node.production_value;
    if (node.production == ProductionFrom::kNone || present == nullptr) return {};
    const bool pool = node.production == ProductionFrom::kPool;
    const auto& production = present->production();
    const bool same = pool ? production.mode() == v1::PRODUCTION_MODE_POOL && production.pool() == node.production_value
                           : production.mode() == v1::PRODUCTION_MODE_NETBOX;
    return same ? production.prefix() : std::string();
}

NodeChange change_of(const NodesFile& file, const NodeEntry& node, const Inputs& inputs, const Snapshot& snapshot,
                     const RegistrationOptions& options) {
    NodeChange change;
    change.node = &node;
    const v1::Machine* present = find(snapshot.machines, node.name);
    const std::string prefix = prefix_of(node, present);
    auto config = config_of(file, node, inputs, prefix);
    if (!config) {
        change.errors.push_back(
            std::move(config.error()).in(fmt::format("{}:{}: {}", file.path, node.line, node.name)));
        return change;
    }
    const bool made = !config->empty() && node.config.empty();
    if (made && node.production != ProductionFrom::kNone && prefix.empty())
        change.warnings.push_back(
            fmt::format("{}:{}: {}: its production prefix is not known yet, so its config has no address on lo; apply "
                        "again once \"show machine {}\" has it",
                        file.path, node.line, node.name, node.name));
    if (node.bmc) {
        const v1::Bmc* record = find(snapshot.bmcs, node.name);
        const v1::Bmc wanted = bmc_of(node, record);
        if (!same(record, wanted) || options.refresh_credentials) {
            auto& put = *change.mutations.emplace_back().mutable_put_bmc();
            *put.mutable_bmc() = wanted;
            put.set_password(inputs.passwords.at(node.name));
        }
    }
    const v1::Machine wanted = machine_of(node, present);
    if (!config->empty()) change.config_sha256 = sha256_hex(*config);
    const bool new_config =
        !config->empty() && (present == nullptr || present->config_sha256() != change.config_sha256);
    if (present != nullptr && !new_config &&
        MessageDifferencer::Equals(registered_part(*present), registered_part(wanted)))
        return change;
    auto& put = *change.mutations.emplace_back().mutable_put_machine();
    *put.mutable_machine() = wanted;
    if (new_config) put.set_config(std::move(*config));
    return change;
}

void add_removals(const NodesFile& file, const Snapshot& snapshot, Changes& changes) {
    const auto ours = [&](const std::string& tenant) {
        return std::any_of(file.tenants.begin(), file.tenants.end(),
                           [&](const auto& one) { return one.name == tenant; });
    };
    std::set<std::string> kept_bmcs;
    for (const auto& node : file.nodes) kept_bmcs.insert(node.name);
    std::vector<std::string> bmcs;
    for (const auto& [name, machine] : snapshot.machines) {
        const bool named = std::any_of(file.nodes.begin(), file.nodes.end(),
                                       [&, &key = name](const auto& one) { return one.name == key; });
        if (named || !ours(machine.tenant())) {
            if (!machine.bmc().empty() && !named) kept_bmcs.insert(machine.bmc());
            continue;
        }
        changes.stale.push_back(name);
        changes.removals.emplace_back().mutable_delete_machine()->set_name(name);
        if (!machine.bmc().empty()) bmcs.push_back(machine.bmc());
    }
    for (const auto& name : bmcs) {
        if (kept_bmcs.insert(name).second && snapshot.bmcs.contains(name))
            changes.removals.emplace_back().mutable_delete_bmc()->set_name(name);
    }
    for (const auto& [key, profile] : snapshot.profiles) {
        const bool named =
            std::any_of(file.profiles.begin(), file.profiles.end(), [&, &one = profile](const auto& entry) {
                return entry.name == one.name() && entry.tenant == one.tenant();
            });
        if (named || !ours(profile.tenant())) continue;
        auto& removal = *changes.removals.emplace_back().mutable_delete_profile();
        removal.set_tenant(profile.tenant());
        removal.set_name(profile.name());
    }
    for (const auto& [name, pool] : snapshot.pools) {
        const bool named = std::any_of(file.pools.begin(), file.pools.end(),
                                       [&, &key = name](const auto& entry) { return entry.name == key; });
        if (!named && ours(pool.tenant())) changes.removals.emplace_back().mutable_delete_prefix_pool()->set_name(name);
    }
}

}  // namespace

Result<std::string> config_of(const NodesFile& file, const NodeEntry& node, const Inputs& inputs,
                              const std::string& prefix) {
    if (!node.config.empty()) return inputs.texts.at(node.config);
    NodeConfigRequest request;
    request.node = &node;
    request.settings = effective_talos(file, node);
    if (request.settings.line == 0) return std::string();
    const auto version = parse_talos_version(request.settings.version);
    if (!version && request.settings.version.empty())
        return fail(Code::kInvalidArgument,
                    "which version of Talos is it? Give \"version\" under \"talos\", or an artifact set of this file");
    if (!version) return fail(version.error());
    request.version = *version;
    request.prefix = prefix;
    const std::string& base = node.role == "worker" ? request.settings.worker : request.settings.controlplane;
    request.base = inputs.texts.at(base);
    for (const auto& patch : request.settings.patches)
        request.patches.push_back(patch.file.empty() ? patch.text : inputs.texts.at(patch.file));
    auto config = make_node_config(request);
    if (!config) return fail(std::move(config.error()).in(base));
    return config;
}

Changes changes_between(const NodesFile& file, const Inputs& inputs, const Snapshot& snapshot,
                        const RegistrationOptions& options) {
    Changes changes;
    for (const auto& entry : file.tenants) {
        const auto* present = find(snapshot.tenants, entry.name);
        const auto wanted = tenant_of(entry, present);
        if (!same(present, wanted)) *changes.tenants.emplace_back().mutable_put_tenant()->mutable_tenant() = wanted;
    }
    for (const auto& entry : file.pools) {
        const auto wanted = pool_of(entry);
        const auto* present = find(snapshot.pools, entry.name);
        const bool as_is = present != nullptr && present->tenant() == wanted.tenant() &&
                           present->prefix() == wanted.prefix() && present->length() == wanted.length();
        if (!as_is) *changes.tenants.emplace_back().mutable_put_prefix_pool()->mutable_pool() = wanted;
    }
    for (const auto& entry : file.artifacts) {
        const auto wanted = set_of(entry, inputs.artifacts.at(entry.name));
        if (!same(find(snapshot.sets, entry.name), wanted))
            *changes.sets.emplace_back().mutable_put_artifact_set()->mutable_set() = wanted;
    }
    for (const auto& entry : file.profiles) {
        const auto* present = find(snapshot.profiles, entry.tenant + "/" + entry.name);
        const auto wanted = profile_of(entry, inputs, present);
        v1::Profile bare;
        if (present != nullptr) bare = *present;
        bare.clear_revision();
        if (present == nullptr || !MessageDifferencer::Equals(bare, wanted))
            *changes.profiles.emplace_back().mutable_put_profile()->mutable_profile() = wanted;
    }
    for (const auto& node : file.nodes) changes.nodes.push_back(change_of(file, node, inputs, snapshot, options));
    add_removals(file, snapshot, changes);
    return changes;
}

}  // namespace nett::builder
