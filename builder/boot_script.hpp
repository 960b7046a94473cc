// autoexec.ipxe: the credentials and the boot script that iPXE runs when it starts.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "agent/sdk/result.hpp"

namespace nett::builder {

inline constexpr std::uint16_t kHttpsPort = 443;

// Without certificates and key: the script alone, for an iPXE that has them built in.
struct BootScript {
    // DER; each is added to iPXE's certificate store: roots and intermediates first, the tenant's own last.
    std::vector<std::string> certificates;
    std::string private_key;  // DER, PKCS #8
    boost::asio::ip::tcp::endpoint server;
};

// The whole script; deterministic.
std::string render_autoexec(const BootScript& script);

// "[2001:db8::1]" or, for a port other than 443, "[2001:db8::1]:8443": the authority of the boot URL.
std::string url_authority(const boost::asio::ip::tcp::endpoint& server);

}  // namespace nett::builder
