// pki init, pki server, pki tenant, pki api.
#include <memory>

#include <boost/json/array.hpp>

#include "agent/sdk/address.hpp"
#include "builder/outcome.hpp"
#include "builder/pki.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

struct Options {
    PkiRequest request;
    TenantSubject subject;
    std::vector<std::string> addresses;
    std::string family = "p256";
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
    CLI::App* pki =
        application.add_subcommand("pki", "Make and extend the lab PKI, a folder of PEM files (P-256 keys)");
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
    tenant->add_flag("--force", tenant_options->request.force, "Replace the tenant's key and certificate");
    tenant->callback([&invocation, tenant_options] {
        invocation.action = [tenant_options] {
            tenant_options->request.now = std::chrono::system_clock::now();
            return written(issue_tenant(tenant_options->request, tenant_options->subject));
        };
    });
    add_api_command(*pki, invocation);
}

}  // namespace nett::builder
