// bmc add.
#include <cstdlib>
#include <memory>

#include "agent/sdk/strings.hpp"
#include "builder/outcome.hpp"
#include "builder/server.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxPasswordBytes = 1024;

struct Options {
    std::string name;
    std::string endpoint;
    std::string username;
    std::string password_variable;
    std::string password_file;
    std::string system_path;
    std::string ca_file;
    std::string pinned_sha256;
};

Result<std::string> read_password(const Options& options) {
    if (options.password_file.empty()) {
        const char* value = std::getenv(options.password_variable.c_str());
        if (value == nullptr || *value == '\0') {
            return fail(Code::kInvalidArgument,
                        "the environment variable {} is not set; it should hold the BMC's password",
                        options.password_variable);
        }
        return std::string(value);
    }
    auto password = read_file(options.password_file, kMaxPasswordBytes);
    if (!password) return fail(std::move(password.error()));
    if (password->ends_with('\n')) password->pop_back();
    if (password->ends_with('\r')) password->pop_back();
    if (password->empty())
        return fail(
            Error{Code::kInvalidArgument, "is empty; it should hold the BMC's password", options.password_file});
    return password;
}

Outcome add(const Options& options, const Invocation& invocation) {
    if (const auto good = check_name(options.name); !good) return good.error();
    auto password = read_password(options);
    if (!password) return password.error();
    v1::PutBmcRequest request;
    v1::Bmc& bmc = *request.mutable_bmc();
    bmc.set_name(options.name);
    bmc.set_endpoint(options.endpoint);
    bmc.set_username(options.username);
    bmc.set_system_path(options.system_path);
    bmc.set_ca_file(options.ca_file);
    bmc.set_pinned_sha256(options.pinned_sha256);
    request.set_password(std::move(*password));
    request.set_reason(invocation.reason);
    return change_everywhere(invocation.servers, "BMC " + options.name, [&](Server& server) {
        return call(server.target, *server.inventory, &v1::Inventory::Stub::PutBmc, request);
    });
}

}  // namespace

void add_bmc_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* bmc = application.add_subcommand("bmc", "Register BMCs");
    bmc->require_subcommand(1);
    CLI::App* command =
        bmc->add_subcommand("add", "Register a BMC, or change its registration; the password is stored encrypted");
    auto options = std::make_shared<Options>();
    command->add_option("NAME", options->name, "The BMC's name, usually its machine's")->required();
    command->add_option("--endpoint", options->endpoint, "Where its Redfish service is: https://[ADDRESS]")
        ->required()
        ->transform(canonical("URL", parse_bmc_endpoint));
    command->add_option("--username", options->username, "Its user")->required();
    auto* variable = command->add_option("--password-env", options->password_variable,
                                         "The environment variable that holds the password");
    auto* file = command->add_option("--password-file", options->password_file,
                                     "The file that holds the password; one newline at its end is left out");
    variable->excludes(file);
    command->add_option("--system-path", options->system_path,
                        "Which system it is for, e.g. /redfish/v1/Systems/1; default: its only one");
    auto* ca = command->add_option("--ca-file", options->ca_file,
                                   "PEM file on the agent's host that the BMC's certificate chains to");
    command
        ->add_option("--pin", options->pinned_sha256,
                     "SHA-256 of the BMC's certificate (DER); without it and --ca-file the first one seen is pinned")
        ->transform(canonical("SHA256", parse_pin))
        ->excludes(ca);
    command->callback([&invocation, options] {
        if (options->password_variable.empty() && options->password_file.empty())
            throw CLI::RequiredError("--password-env or --password-file");
        invocation.action = [&invocation, options] { return add(*options, invocation); };
    });
}

}  // namespace nett::builder
