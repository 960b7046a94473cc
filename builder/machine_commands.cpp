// machine add, machine state.
#include <memory>
#include <optional>

#include "agent/sdk/identity.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/outcome.hpp"
#include "builder/server.hpp"
#include "builder/values.hpp"
#include "proto/enumerations.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;  // the agents' limit; Talos configs are some 30 kB

struct Options {
    std::string name;
    std::string tenant;
    std::string uuid;
    std::vector<std::string> macs;
    std::string serial;
    std::string config_file;
    std::string artifact_set;
    std::string delivery = "embedded";
    std::vector<std::string> ports;
    std::string kernel_args;
    std::string profile;
    std::string bmc;
    std::string state;
};

Result<std::string> usable_uuid(std::string_view text) {
    auto uuid = canonical_uuid(text);
    if (uuid && !is_usable_uuid(*uuid)) {
        return fail(Code::kInvalidArgument, "the UUID {} is shared by many machines: register this one by --mac",
                    *uuid);
    }
    return uuid;
}

Result<std::string> checked_port(std::string_view text) {
    const auto binding = parse_port_binding(text);
    if (!binding) return fail(binding.error());
    return binding->port + (text.find('=') == text.npos ? "" : "=" + binding->prefix.to_string());
}

template <typename T>
Result<std::string> same_text(std::string_view text, Result<T> (*parse)(std::string_view)) {
    const auto value = parse(text);
    if (!value) return fail(value.error());
    return std::string(to_string(*value));
}

Result<v1::PutMachineRequest> put_request(const Options& options, const Invocation& invocation) {
    NETT_TRY(check_name(options.name));
    if (options.uuid.empty() && options.macs.empty()) {
        return fail(Code::kInvalidArgument, "how would the machine be known? Give --uuid or --mac");
    }
    v1::PutMachineRequest request;
    v1::Machine& machine = *request.mutable_machine();
    machine.set_name(options.name);
    machine.set_tenant(options.tenant);
    machine.set_uuid(options.uuid);
    machine.mutable_macs()->Assign(options.macs.begin(), options.macs.end());
    machine.set_serial(options.serial);
    machine.set_artifact_set(options.artifact_set);
    machine.set_kernel_args(options.kernel_args);
    machine.set_profile(options.profile);
    machine.set_delivery(to_proto(*parse_config_delivery(options.delivery)));
    machine.set_bmc(options.bmc);
    for (const std::string& text : options.ports) {
        const auto binding = parse_port_binding(text);
        v1::PortBinding& port = *machine.add_ports();
        port.set_port(binding->port);
        if (binding->prefix.length() > 0) port.set_prefix(binding->prefix.to_string());
    }
    if (!options.config_file.empty()) {
        auto config = read_file(options.config_file, kMaxConfigBytes);
        if (!config) return fail(std::move(config.error()));
        if (config->empty())
            return fail(Error{Code::kInvalidArgument, "is empty; a machine config is expected", options.config_file});
        request.set_config(std::move(*config));
    }
    request.set_reason(invocation.reason);
    return request;
}

Outcome add(const Options& options, const Invocation& invocation) {
    const auto request = put_request(options, invocation);
    if (!request) return request.error();
    Outcome outcome = change_everywhere(invocation.servers, "machine " + options.name, [&](Server& server) {
        return call(server.target, *server.inventory, &v1::Inventory::Stub::PutMachine, *request);
    });
    if (request->has_config()) {
        const std::string digest = sha256_hex(request->config());
        outcome.json["config_sha256"] = digest;
        if (outcome.errors.empty()) outcome.text += fmt::format("config {}: sha256 {}\n", options.config_file, digest);
    }
    return outcome;
}

Outcome set_state(const Options& options, const Invocation& invocation) {
    v1::SetMachineStateRequest request;
    request.set_name(options.name);
    request.set_state(to_proto(*parse_machine_state(options.state)));
    request.set_reason(invocation.reason);
    return change_everywhere(
        invocation.servers, fmt::format("machine {} is {}", options.name, options.state), [&](Server& server) {
            return call(server.target, *server.inventory, &v1::Inventory::Stub::SetMachineState, request);
        });
}

void add_identity_options(CLI::App& command, Options& options) {
    command.add_option("--uuid", options.uuid, "SMBIOS UUID, as in /sys/class/dmi/id/product_uuid")
        ->transform(canonical("UUID", usable_uuid));
    command.add_option("--mac", options.macs, "MAC address of a port, in any usual spelling; repeatable")
        ->transform(canonical("MAC", canonical_mac))
        ->allow_extra_args(false);
    command.add_option("--serial", options.serial, "Serial number");
    command
        .add_option("--port", options.ports,
                    "Serve the machine only behind this port: SWITCH/PORT, e.g. tor-a/swp1, with the prefix that the "
                    "switch advertises there, or SWITCH/PORT=PREFIX; repeatable")
        ->transform(canonical("PORT", checked_port))
        ->allow_extra_args(false);
    command.add_option("--bmc", options.bmc, "Name of its BMC");
}

void add_boot_options(CLI::App& command, Options& options) {
    command.add_option("--config", options.config_file,
                       "The Talos machine config, handed over byte for byte; left out: the registered one stays");
    command.add_option("--artifact-set", options.artifact_set, "The artifact set that it boots from the network")
        ->required();
    command.add_option("--kernel-args", options.kernel_args, "Kernel arguments after the set's own");
    command.add_option("--profile", options.profile, "What machines of its sort have in common; see \"profile\"");
    command.add_option("--delivery", options.delivery, "How the config gets to Talos: embedded, token or url")
        ->default_val("embedded")
        ->transform(canonical(
            "DELIVERY", [](std::string_view text) { return same_text<ConfigDelivery>(text, parse_config_delivery); }));
}

}  // namespace

void add_machine_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* machine = application.add_subcommand("machine", "Register machines and set their states");
    machine->require_subcommand(1);

    CLI::App* command =
        machine->add_subcommand("add", "Register a machine, or change its registration; its state stays as it is");
    auto options = std::make_shared<Options>();
    command->add_option("NAME", options->name, "The machine's name")->required();
    command->add_option("--tenant", options->tenant, "Its tenant")->required();
    add_identity_options(*command, *options);
    add_boot_options(*command, *options);
    command->callback(
        [&invocation, options] { invocation.action = [&invocation, options] { return add(*options, invocation); }; });

    CLI::App* state = machine->add_subcommand(
        "state", "Set a machine's state: new, provisioning, active, reprovision, maintenance or decommission");
    auto state_options = std::make_shared<Options>();
    state->add_option("NAME", state_options->name, "The machine's name")->required();
    state->add_option("STATE", state_options->state, "The state")
        ->required()
        ->transform(canonical(
            "STATE", [](std::string_view text) { return same_text<MachineState>(text, parse_machine_state); }));
    state->callback([&invocation, state_options] {
        invocation.action = [&invocation, state_options] { return set_state(*state_options, invocation); };
    });
}

}  // namespace nett::builder
