// The call without a command, and: plan, apply, config, patch, schema, bootstrap.
#include <memory>

#include "agent/sdk/strings.hpp"
#include "builder/boot_script.hpp"
#include "builder/bootstrap/bootstrap.hpp"
#include "builder/nodes/loaded.hpp"
#include "builder/nodes/nodes_file.hpp"
#include "builder/nodes/registration.hpp"
#include "builder/nodes/run.hpp"
#include "builder/outcome.hpp"
#include "builder/talos/strategic_merge.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxConfig = 1 << 20;  // the agents' limit of a machine config

struct Options {
    NodesRequest request;
    std::string server;
    long boot_deadline = 900;
};

Result<std::string> canonical_server(std::string_view text) {
    const auto server = parse_metadata_server(text);
    if (!server) return fail(server.error());
    return url_authority(*server);
}

void add_file_options(CLI::App& command, Options& options) {
    command.add_option("--nodes", options.request.nodes_file,
                       "nodes.yaml: tenants, artifacts and machines; \"schema\" prints its format");
    command.add_flag("--prune", options.request.prune,
                     "Also remove the tenants' machines, profiles and pools that the file does not name");
    command.add_flag("--refresh-credentials", options.request.refresh_credentials,
                     "Also set the BMCs' passwords again: they cannot be compared");
}

void add_apply_options(CLI::App& command, Options& options) {
    command
        .add_option("--metadata-server", options.server,
                    "The metadata servers' anycast address, or [ADDRESS]:PORT: what images ask for")
        ->transform(canonical("ADDRESS", canonical_server));
    command.add_option("--output", options.request.output, "The folder that images are written into")->default_val(".");
    command
        .add_option("--boot-deadline", options.boot_deadline,
                    "How many seconds BMCs may take until their machines boot")
        ->default_val(900)
        ->check(CLI::Range(1L, 86400L));
}

Outcome apply(Options& options, const Invocation& invocation) {
    if (options.request.nodes_file.empty()) return Error{Code::kInvalidArgument, "give --nodes nodes.yaml", {}};
    if (options.server.empty())
        return Error{Code::kInvalidArgument, "give --metadata-server ADDRESS: what the machines' image asks", {}};
    NodesRequest& request = options.request;
    request.metadata_server = *parse_metadata_server(options.server);
    request.boot_deadline = std::chrono::seconds(options.boot_deadline);
    request.servers = invocation.servers;
    request.reason = invocation.reason;
    request.json = invocation.json;
    return apply_nodes(request);
}

Outcome plan(Options& options, const Invocation& invocation) {
    options.request.servers = invocation.servers;
    return plan_nodes(options.request);
}

// What an apply would register, for a look at it before: its secrets are in it.
Outcome print_config(const Options& options, const std::string& name, const std::string& prefix) {
    Outcome outcome;
    const auto loaded = load_nodes(options.request.nodes_file, outcome.errors);
    if (!loaded) return outcome;
    outcome.warnings = loaded->file.warnings;
    for (const auto& node : loaded->file.nodes) {
        if (node.name != name) continue;
        const bool is_static = node.production == ProductionFrom::kStatic;
        auto config = config_of(loaded->file, node, loaded->inputs, is_static ? node.production_value : prefix);
        if (!config) return std::move(config.error()).in(fmt::format("{}:{}", loaded->file.path, node.line));
        outcome.text = *config;
        outcome.json["config"] = *config;
        return outcome;
    }
    return Error{Code::kNotFound, fmt::format("there is no node \"{}\"", name), options.request.nodes_file};
}

void add_config_command(CLI::App& application, Invocation& invocation, const std::shared_ptr<Options>& options) {
    CLI::App* command =
        application.add_subcommand("config", "Print the machine config of one of the file's nodes, with its secrets");
    auto name = std::make_shared<std::string>();
    auto prefix = std::make_shared<std::string>();
    command->add_option("NODE", *name, "The node's name")->required();
    command->add_option("--prefix", *prefix, "Its production prefix, when a pool or NetBox gives it");
    command->callback([&invocation, options, name, prefix] {
        if (options->request.nodes_file.empty()) throw CLI::RequiredError("--nodes");
        invocation.action = [options, name, prefix] { return print_config(*options, *name, *prefix); };
    });
}

void add_patch_command(CLI::App& application, Invocation& invocation) {
    CLI::App* command =
        application.add_subcommand("patch", "Print a machine config with patches, by Talos' rules; its comments stay");
    auto files = std::make_shared<std::vector<std::string>>();
    command->add_option("FILES", *files, "The config, then the patches in their order")->required()->expected(2, 100);
    command->callback([&invocation, files] {
        invocation.action = [files]() -> Outcome {
            Outcome outcome;
            for (const std::string& path : *files) {
                const auto text = read_file(path, kMaxConfig);
                if (!text) return text.error();
                auto merged =
                    path == files->front() ? Result<std::string>(*text) : strategic_merge(outcome.text, *text);
                if (!merged) return std::move(merged.error()).in(path);
                outcome.text = std::move(*merged);
            }
            outcome.json["config"] = outcome.text;
            return outcome;
        };
    });
}

}  // namespace

void add_nodes_commands(CLI::App& application, Invocation& invocation) {
    auto options = std::make_shared<Options>();
    add_file_options(application, *options);
    add_apply_options(application, *options);
    application.callback([&application, &invocation, options] {
        if (!application.get_subcommands().empty()) return;
        if (options->request.nodes_file.empty())
            throw CLI::RequiredError("a command, or --nodes and --metadata-server,");
        if (options->server.empty()) throw CLI::RequiredError("--metadata-server");
        invocation.action = [&invocation, options] { return apply(*options, invocation); };
    });

    CLI::App* apply_command =
        application.add_subcommand("apply", "Do what nodes.yaml says; the same as the call without a command");
    apply_command->callback([&invocation, options] {
        if (options->request.nodes_file.empty()) throw CLI::RequiredError("--nodes");
        if (options->server.empty()) throw CLI::RequiredError("--metadata-server");
        invocation.action = [&invocation, options] { return apply(*options, invocation); };
    });

    CLI::App* plan_command =
        application.add_subcommand("plan", "Say what an apply would add, change, remove and restart; touch nothing");
    plan_command->callback([&invocation, options] {
        if (options->request.nodes_file.empty()) throw CLI::RequiredError("--nodes");
        invocation.action = [&invocation, options] { return plan(*options, invocation); };
    });

    add_config_command(application, invocation, options);
    add_patch_command(application, invocation);
    add_bootstrap_command(application, invocation, [options] {
        if (!options->server.empty()) options->request.metadata_server = *parse_metadata_server(options->server);
        return options->request;
    });

    CLI::App* schema = application.add_subcommand("schema", "Print the JSON Schema of nodes.yaml");
    schema->callback([&invocation] {
        invocation.action = [] {
            Outcome outcome;
            outcome.text = nodes_schema();
            return outcome;
        };
    });
}

}  // namespace nett::builder
