// bootstrap: the first metadata server as one archive.
#include <memory>

#include "agent/sdk/address.hpp"
#include "builder/bootstrap/bootstrap.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

Result<std::string> canonical_address(std::string_view text) {
    const auto address = parse_address6(text);
    if (!address) return fail(address.error());
    return address->to_string();
}

Result<std::string> checked_name(std::string_view text) {
    NETT_TRY(check_name(text));
    return std::string(text);
}

void add_options(CLI::App& command, BootstrapRequest& request) {
    command.add_option("ARCHIVE", request.archive, "The archive to write")->required();
    command.add_option("--hostname", request.hostname, "The host's name")
        ->default_val("meta-1")
        ->transform(canonical("NAME", checked_name));
    command
        .add_option("--server-certificate", request.certificate,
                    "PEM: the metadata server's certificate, then its chain")
        ->required();
    command.add_option("--server-key", request.key, "PEM: its key")->required();
    command.add_option("--client-ca", request.client_ca, "PEM: the roots of the tenants' certificates")->required();
    command
        .add_option("--media-address", request.media_address,
                    "The host's address that BMCs fetch ISOs from; without it they are not served")
        ->transform(canonical("ADDRESS", canonical_address));
    command.add_flag("--bgp-anycast", request.bgp_anycast,
                     "The host announces the address by FRR; without it a router has a static route to it");
    command.add_option("--nettd", request.nettd, "The program that makes the state")->default_val("nettd");
}

}  // namespace

void add_bootstrap_command(CLI::App& application, Invocation& invocation, std::function<NodesRequest()> nodes) {
    CLI::App* command = application.add_subcommand(
        "bootstrap",
        "Write the first metadata server as one archive for nett-restore: configuration, state, certificates, images");
    auto request = std::make_shared<BootstrapRequest>();
    add_options(*command, *request);
    command->callback([&invocation, request, nodes = std::move(nodes)] {
        request->nodes = nodes();
        if (request->nodes.nodes_file.empty()) throw CLI::RequiredError("--nodes");
        if (request->nodes.metadata_server.port() == 0) throw CLI::RequiredError("--metadata-server");
        invocation.action = [&invocation, request] {
            request->nodes.reason = invocation.reason;
            request->nodes.json = invocation.json;
            return bootstrap(*request);
        };
    });
}

}  // namespace nett::builder
