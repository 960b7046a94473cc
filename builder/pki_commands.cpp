// pki init, step, server, tenant, api, rotate.
#include <memory>

#include <CLI/Error.hpp>
#include <boost/json/array.hpp>

#include "agent/sdk/address.hpp"
#include "builder/outcome.hpp"
#include "builder/pki.hpp"
#include "builder/step_ca.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

struct Options {
    PkiRequest request;
    TenantSubject subject;
    std::vector<std::string> addresses;
    std::string family = "p256";
    bool finish = false;
    StepAuthority step;
    std::string root_file;
};

Result<std::string> canonical_address(std::string_view text) {
    const auto address = parse_address6(text);
    if (!address) return fail(address.error());
    return address->to_string();
}

std::vector<Address6> addresses_of(const Options& options) {
    std::vector<Address6> result;
    for (const std::string& text : options.addresses) result.push_back(*parse_address6(text));
    return result;
}

Outcome written(const Result<std::vector<std::string>>& files) {
    if (!files) return files.error();
    Outcome outcome;
    boost::json::array names;
    for (const std::string& file : *files) {
        outcome.text += "wrote " + file + "\n";
        names.emplace_back(file);
    }
    outcome.json["written"] = std::move(names);
    return outcome;
}

void add_folder_and_days(CLI::App& command, Options& options) {
    command.add_option("DIR", options.request.folder, "The PKI's folder")->required();
    command.add_option("--days", options.request.days, "How long the certificate is valid")
        ->default_val(kDefaultCertificateDays)
        ->check(CLI::Range(1, 3650));
}

void add_server_options(CLI::App& command, Options& options) {
    add_folder_and_days(command, options);
    command
        .add_option("--server-address", options.addresses,
                    "IPv6 address of the metadata servers, goes into the certificate as IP SAN; repeatable")
        ->required()
        ->transform(canonical("ADDRESS", canonical_address))
        ->allow_extra_args(false);
    command
        .add_option("--backdate-days", options.request.backdate_days,
                    "How far back the certificates' validity starts, for machines whose clock runs behind")
        ->default_val(kDefaultBackdateDays)
        ->check(CLI::Range(0, 20 * 365));
}

void add_token_option(CLI::App& command, Options& options) {
    command.add_option("--token-file", options.request.token_file,
                       "With step-ca: a one-time token, in place of the provisioner's password");
}

void add_rotate_command(CLI::App& pki, Invocation& invocation) {
    CLI::App* rotate = pki.add_subcommand(
        "rotate", "Let a new root take over while both are trusted; --finish ends the trust in the old one");
    auto options = std::make_shared<Options>();
    add_server_options(*rotate, *options);
    rotate->get_option("--server-address")->required(false);
    rotate->add_flag("--finish", options->finish, "Trust the new root alone, when all images are new");
    rotate->add_flag("--force", options->request.force, "Finish although certificates are still of the old root");
    rotate->callback([&invocation, options] {
        if (!options->finish && options->addresses.empty()) throw CLI::RequiredError("--server-address");
        invocation.action = [options] {
            options->request.now = std::chrono::system_clock::now();
            return written(options->finish ? finish_rotation(options->request)
                                           : start_rotation(options->request, addresses_of(*options)));
        };
    });
}

void add_step_command(CLI::App& pki, Invocation& invocation) {
    CLI::App* step = pki.add_subcommand("step", "Let step-ca be the CA of the folder: the other commands then ask it");
    auto options = std::make_shared<Options>();
    step->add_option("DIR", options->request.folder, "The PKI's folder")->required();
    step->add_option("--ca-url", options->step.url, "step-ca, https://[ADDRESS]:PORT")->required();
    step->add_option("--root-file", options->root_file, "Its root (PEM), as \"step ca root FILE\" writes it")
        ->required();
    step->add_option("--provisioner", options->step.provisioner, "The JWK provisioner to make tokens by");
    step->add_option("--provisioner-password-file", options->step.password_file,
                     "The password of its key; without, each certificate needs a --token-file");
    step->add_flag("--force", options->request.force, "Replace the settings that are there");
    step->callback([&invocation, options] {
        invocation.action = [options] {
            return written(
                use_step_authority(options->request.folder, options->step, options->root_file, options->request.force));
        };
    });
}

void add_api_command(CLI::App& pki, Invocation& invocation) {
    CLI::App* api = pki.add_subcommand(
        "api", "Issue a certificate for the management API (NAME.pem, NAME.key): an agent's or a client's");
    auto options = std::make_shared<Options>();
    add_folder_and_days(*api, *options);
    api->add_option("NAME", options->subject.name, "Name of the files; an agent's is its hostname")->required();
    api->add_option("--common-name", options->subject.common_name, "Subject CN; default NAME");
    api->add_option("--address", options->addresses, "IPv6 address that the agent serves the API at; repeatable")
        ->transform(canonical("ADDRESS", canonical_address))
        ->allow_extra_args(false);
    add_token_option(*api, *options);
    api->add_flag("--force", options->request.force, "Replace the key and the certificate");
    api->callback([&invocation, options] {
        invocation.action = [options] {
            options->request.now = std::chrono::system_clock::now();
            return written(issue_api(options->request,
                                     {options->subject.name, options->subject.common_name, addresses_of(*options)}));
        };
    });
}

}  // namespace

void add_pki_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* pki = application.add_subcommand("pki", "Make and extend a PKI, a folder of PEM files (P-256 keys)");
    pki->require_subcommand(1);

    CLI::App* init = pki->add_subcommand(
        "init",
        "Make the platform root (root.pem, root.key) and the metadata servers' certificate (server.pem, server.key)");
    auto init_options = std::make_shared<Options>();
    add_server_options(*init, *init_options);
    init->add_option("--key-family", init_options->family,
                     "p256, or rsa for iPXE before 2.0; holds for every certificate of this PKI")
        ->default_val("p256")
        ->check(CLI::IsMember({"p256", "rsa"}));
    init->add_flag("--force", init_options->request.force,
                   "Replace a PKI that exists: every image has to be made again");
    init->callback([&invocation, init_options] {
        invocation.action = [init_options] {
            init_options->request.now = std::chrono::system_clock::now();
            const bool rsa = init_options->family == "rsa";
            return written(
                init_pki(init_options->request, addresses_of(*init_options), rsa ? KeyFamily::kRsa : KeyFamily::kP256));
        };
    });

    CLI::App* server =
        pki->add_subcommand("server", "Renew the metadata servers' certificate and key from the PKI's root");
    auto server_options = std::make_shared<Options>();
    add_server_options(*server, *server_options);
    add_token_option(*server, *server_options);
    server->callback([&invocation, server_options] {
        invocation.action = [server_options] {
            server_options->request.now = std::chrono::system_clock::now();
            return written(renew_server(server_options->request, addresses_of(*server_options)));
        };
    });

    CLI::App* tenant =
        pki->add_subcommand("tenant", "Issue a tenant's client certificate (NAME.pem) and its key (NAME.key)");
    auto tenant_options = std::make_shared<Options>();
    add_folder_and_days(*tenant, *tenant_options);
    tenant->add_option("NAME", tenant_options->subject.name, "The tenant's name")->required();
    tenant->add_option("--common-name", tenant_options->subject.common_name, "Subject CN; default NAME.boot.example");
    tenant->add_option("--organizational-unit", tenant_options->subject.organizational_unit,
                       "Subject OU; default none");
    add_token_option(*tenant, *tenant_options);
    tenant->add_flag("--force", tenant_options->request.force, "Replace the tenant's key and certificate");
    tenant->callback([&invocation, tenant_options] {
        invocation.action = [tenant_options] {
            tenant_options->request.now = std::chrono::system_clock::now();
            return written(issue_tenant(tenant_options->request, tenant_options->subject));
        };
    });
    add_api_command(*pki, invocation);
    add_step_command(*pki, invocation);
    add_rotate_command(*pki, invocation);
    add_pki_status_command(*pki, invocation);
}

}  // namespace nett::builder
