// What a subcommand has to say, as text and as JSON, and what went wrong; main prints it and picks the exit status.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <boost/json/object.hpp>

#include "agent/sdk/result.hpp"

namespace nett::builder {

struct Outcome {
    Outcome() = default;
    Outcome(Error error) { errors.push_back(std::move(error)); }  // NOLINT: an error is an outcome

    std::string text;  // whole lines
    boost::json::object json;
    std::vector<std::string> warnings;
    std::vector<Error> errors;  // any: exit status 1
};

// Values shared by all subcommands, and the subcommand chosen: parsing only picks what to do, main does it.
struct Invocation {
    bool json = false;
    std::string reason;
    std::vector<std::string> servers;  // gRPC targets
    std::function<Outcome()> action;
};

// A validator for CLI11 that turns the value into what `parse` makes of it, in canonical text.
CLI::Validator canonical(std::string description, std::function<Result<std::string>(std::string_view)> parse);

// Each adds its subcommands; `invocation` outlives the application.
void add_nodes_commands(CLI::App& application, Invocation& invocation);
void add_pki_commands(CLI::App& application, Invocation& invocation);
void add_pki_status_command(CLI::App& pki, Invocation& invocation);
void add_image_command(CLI::App& application, Invocation& invocation);
void add_homelab_command(CLI::App& application, Invocation& invocation);
void add_tenant_commands(CLI::App& application, Invocation& invocation);
void add_profile_commands(CLI::App& application, Invocation& invocation);
void add_machine_commands(CLI::App& application, Invocation& invocation);
void add_bmc_commands(CLI::App& application, Invocation& invocation);
void add_artifact_commands(CLI::App& application, Invocation& invocation);
void add_status_command(CLI::App& application, Invocation& invocation);

}  // namespace nett::builder
