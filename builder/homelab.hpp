// A homelab's network boot beside the router that it has: dnsmasq as proxy-DHCP and TFTP server, iPXE's binaries, and
// nett's plain-HTTP homelab listener. The only part of nett that knows IPv4: PXE ROMs ask by DHCPv4 and know nothing
// else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "agent/sdk/result.hpp"

namespace nett::builder {

// "192.168.0.0/24": 16 to 30 bits, none set behind them.
Result<boost::asio::ip::network_v4> parse_homelab_network(std::string_view text);
// "192.168.0.66:8080", an IPv4 address and port.
Result<boost::asio::ip::tcp::endpoint> parse_homelab_server(std::string_view text);

struct HomelabRequest {
    std::string output;     // folder to make
    std::string ipxe;       // folder of Debian's iPXE binaries
    std::string interface;  // that dnsmasq serves
    std::string tenant;     // whose machines boot
    boost::asio::ip::network_v4 network;
    boost::asio::ip::tcp::endpoint server;  // the homelab listener, in the network
};

struct HomelabReport {
    std::vector<std::string> files;     // written, full paths
    std::vector<std::string> warnings;  // firmware that gets no binary
};

// Writes dnsmasq.conf, README.md and tftp/talos/… into the output folder; complete or not at all. kInvalidArgument: a
// server outside the network, an interface or tenant that is no name. kNotFound: no undionly.kpxe and no EFI binary.
Result<HomelabReport> write_homelab(const HomelabRequest& request);

// Pure. `boot_files` are the names below tftp/talos that exist.
std::string render_dnsmasq(const HomelabRequest& request, const std::vector<std::string>& boot_files);
std::string render_homelab_readme(const HomelabRequest& request);

}  // namespace nett::builder
