// talos-fabric-builder: makes the lab PKI and the tenants' boot images, and registers tenants, machines, artifacts and
// BMCs with the agents.
#include <iostream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/build_id.hpp"
#include "builder/outcome.hpp"
#include "builder/server.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

void add_common_options(CLI::App& application, Invocation& invocation, ClientIdentity& identity) {
    application.add_flag("--json", invocation.json, "Print the result as one JSON document");
    application
        .add_option("--server", invocation.servers,
                    "An agent's management API, unix:PATH or [ADDRESS]:PORT; repeat it to make the same change on "
                    "several agents")
        ->default_val(std::vector<std::string>{"unix:/run/nett/nettd.sock"})
        ->transform(canonical("TARGET", parse_server_target))
        ->allow_extra_args(false);
    application.add_option("--certificate", identity.certificate,
                           "Our certificate, for agents at [ADDRESS]:PORT (PEM)");
    application.add_option("--private-key", identity.private_key, "Its key (PEM)");
    application.add_option("--ca", identity.ca, "Roots that the agents' certificates chain to (PEM)");
    application.add_option("--server-name", identity.server_name,
                           "Name in the agents' certificates, if it is not their address");
    application.add_option("--reason", invocation.reason, "Why, for the agents' history of changes");
    application.set_version_flag("--version", std::string("talos-fabric-builder ") + kVersion);
}

void add_error(boost::json::array& errors, const Error& error) {
    boost::json::object object;
    object["code"] = to_string(error.code);
    object["message"] = error.message;
    object["context"] = error.context;
    errors.push_back(std::move(object));
}

int print(Outcome outcome, bool json) {
    for (const std::string& warning : outcome.warnings)
        std::cerr << "talos-fabric-builder: warning: " << warning << '\n';
    for (const Error& error : outcome.errors) std::cerr << "talos-fabric-builder: " << error.to_string() << '\n';
    if (json) {
        boost::json::array errors;
        for (const Error& error : outcome.errors) add_error(errors, error);
        if (!errors.empty()) outcome.json["errors"] = std::move(errors);
        std::cout << boost::json::serialize(outcome.json) << '\n';
    } else {
        std::cout << outcome.text;
    }
    std::cout.flush();
    if (!std::cout) return kFailed;
    return outcome.errors.empty() ? 0 : kFailed;
}

int run(int argc, char** argv) {
    CLI::App application(
        "Makes the lab PKI and the tenants' boot images, and registers tenants, machines, artifacts and BMCs with "
        "nettd.",
        "talos-fabric-builder");
    Invocation invocation;
    ClientIdentity identity;
    application.require_subcommand(0, 1);
    application.fallthrough();
    add_common_options(application, invocation, identity);
    add_nodes_commands(application, invocation);
    add_pki_commands(application, invocation);
    add_image_command(application, invocation);
    add_homelab_command(application, invocation);
    add_tenant_commands(application, invocation);
    add_profile_commands(application, invocation);
    add_machine_commands(application, invocation);
    add_bmc_commands(application, invocation);
    add_artifact_commands(application, invocation);
    add_status_command(application, invocation);
    try {
        application.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return application.exit(error) == 0 ? 0 : kUsage;
    }
    if (const auto usable = use_identity(identity, invocation.servers); !usable) {
        return print(Outcome(usable.error()), invocation.json);
    }
    return print(invocation.action(), invocation.json);
}

}  // namespace

CLI::Validator canonical(std::string description, std::function<Result<std::string>(std::string_view)> parse) {
    return CLI::Validator(
        [parse = std::move(parse)](std::string& value) {
            auto parsed = parse(value);
            if (!parsed) return parsed.error().to_string();
            value = std::move(*parsed);
            return std::string();
        },
        std::move(description));
}

}  // namespace nett::builder

int main(int argc, char** argv) {
    try {
        return nett::builder::run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "talos-fabric-builder: " << error.what() << '\n';
        return 1;
    }
}
