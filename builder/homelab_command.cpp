// homelab: network boot beside a home's own DHCP server.
#include <memory>

#include <boost/json/array.hpp>

#include "builder/homelab.hpp"
#include "builder/outcome.hpp"

namespace nett::builder {
namespace {

struct Options {
    HomelabRequest request;
    std::string network;
    std::string server;
};

Result<std::string> canonical_network(std::string_view text) {
    const auto network = parse_homelab_network(text);
    if (!network) return fail(network.error());
    return network->to_string();
}

Result<std::string> canonical_server(std::string_view text) {
    const auto server = parse_homelab_server(text);
    if (!server) return fail(server.error());
    return fmt::format("{}:{}", server->address().to_string(), server->port());
}

Outcome make(Options& options) {
    options.request.network = *parse_homelab_network(options.network);
    options.request.server = *parse_homelab_server(options.server);
    const auto report = write_homelab(options.request);
    if (!report) return report.error();
    Outcome outcome;
    outcome.warnings = report->warnings;
    boost::json::array files;
    for (const auto& file : report->files) {
        outcome.text += fmt::format("wrote {}\n", file);
        files.emplace_back(file);
    }
    outcome.text += fmt::format("next: read {}/README.md\n", options.request.output);
    outcome.json = {{"files", std::move(files)}};
    return outcome;
}

}  // namespace

void add_homelab_command(CLI::App& application, Invocation& invocation) {
    CLI::App* homelab = application.add_subcommand(
        "homelab", "Write a dnsmasq configuration and a TFTP folder for network boot beside a home's DHCP server");
    auto options = std::make_shared<Options>();
    HomelabRequest& request = options->request;
    homelab->add_option("--output", request.output, "The folder to write")->required();
    homelab->add_option("--interface", request.interface, "The interface that dnsmasq serves")->required();
    homelab->add_option("--network", options->network, "The home's IPv4 network, e.g. 192.168.0.0/24")
        ->required()
        ->transform(canonical("NETWORK", canonical_network));
    homelab->add_option("--server", options->server, "The homelab listener, e.g. 192.168.0.66:8080")
        ->required()
        ->transform(canonical("ADDRESS:PORT", canonical_server));
    homelab->add_option("--tenant", request.tenant, "Whose machines boot")->required();
    homelab->add_option("--ipxe", request.ipxe, "The folder of Debian's iPXE binaries (package ipxe)")
        ->default_val("/usr/lib/ipxe");
    homelab->callback([&invocation, options] { invocation.action = [options] { return make(*options); }; });
}

}  // namespace nett::builder
