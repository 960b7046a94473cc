#include <set>

#include "agent/sdk/address.hpp"
#include "builder/bootstrap/bootstrap.hpp"

namespace nett::builder {
namespace {

constexpr int kMediaPort = 8080;

// "https://[2001:db8:bc::1]:443" → "2001:db8:bc::1": nodes.yaml takes no names.
std::set<std::string> hosts_of(const std::vector<std::string>& endpoints) {
    std::set<std::string> hosts;
    for (const std::string& endpoint : endpoints) {
        const auto open = endpoint.find('[');
        const auto close = endpoint.find(']');
        if (open < close && close != std::string::npos) hosts.insert(endpoint.substr(open + 1, close - open - 1));
    }
    return hosts;
}

}  // namespace

std::string bootstrap_configuration(const BootstrapRequest& request, const std::vector<std::string>& bmcs,
                                    const std::vector<BootstrapImage>& isos) {
    const auto& server = request.nodes.metadata_server;
    const std::string address = server.address().to_string();
    const auto hosts = hosts_of(bmcs);
    const bool media = !request.media_address.empty() && !isos.empty();
    std::string out = fmt::format(
        "hostname {}\n!\nplugin metadata\n listen {}\n server-address {}\n certificate /etc/nett/server.pem\n"
        " private-key /etc/nett/server.key\n client-ca /etc/nett/root.pem\n",
        request.hostname, nett::to_string(server), address);
    if (media) {
        out += fmt::format(" media listen [{}]:{} http\n media directory {}\n", request.media_address, kMediaPort,
                           kMediaFolder);
        for (const auto& host : hosts) out += fmt::format(" media allow {}/128\n", host);
    }
    out += "!\n";
    if (request.bgp_anycast) out += fmt::format("plugin bgp-anycast\n address {}/128\n require metadata\n!\n", address);
    if (hosts.empty()) return out;
    out += "plugin redfish\n";
    for (const auto& host : hosts) out += fmt::format(" allow-bmc {}/128\n", host);
    if (media) {
        out += fmt::format(" media-listener http://[{}]:{}\n", request.media_address, kMediaPort);
        for (const auto& image : isos)
            out += fmt::format(" tenant {} image {}/{}\n", image.tenant, kMediaFolder, image.name);
    }
    return out + "!\n";
}

}  // namespace nett::builder
