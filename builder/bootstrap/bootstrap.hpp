// The first metadata server (document, section 10.1): everything that a host outside the fabric needs to serve it, as
// one archive that nett-restore(8) puts in place.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "builder/nodes/nodes_file.hpp"
#include "builder/nodes/run.hpp"

namespace nett::builder {

struct BootstrapRequest {
    NodesRequest nodes;  // servers are not looked at: the registrations go into the archive
    std::string hostname;
    std::string certificate;  // PEM: the metadata server's certificate and its chain
    std::string key;
    std::string client_ca;      // PEM: the roots of the tenants' certificates
    std::string media_address;  // where BMCs fetch images; empty: no media listener
    bool bgp_anycast = false;   // the host announces the address; else a router has a static route to it
    std::string archive;        // what is written
    std::string nettd;          // the program that makes the state
};

// Runs an agent of its own in a folder beside the archive, registers everything with it through its API, and takes its
// backup; adds the configuration, the certificates and the images. The archive appears complete or not at all, readable
// by its owner alone: the key of the state and the tenants' keys are inside. No machine is started.
Outcome bootstrap(const BootstrapRequest& request);

// What machines would refuse, or the server: certificates that have expired, are for another address or key, or do not
// chain to what the other side trusts. kInvalidArgument, with the file as context.
Result<void> check_certificates(const BootstrapRequest& request, const NodesFile& file);

struct BootstrapImage {
    std::string tenant;
    std::string name;  // of the file in kMediaFolder
};
inline constexpr std::string_view kMediaFolder = "/var/lib/nett/media";

// nett.conf of that host. Pure; `bmcs` are the endpoints of nodes.yaml, `isos` what BMCs boot from.
std::string bootstrap_configuration(const BootstrapRequest& request, const std::vector<std::string>& bmcs,
                                    const std::vector<BootstrapImage>& isos);

// `nodes` gives the file and the server that the command line names, as far as it does.
void add_bootstrap_command(CLI::App& application, Invocation& invocation, std::function<NodesRequest()> nodes);

}  // namespace nett::builder
