// Values of the command line, and files of small formats: parsed here once, with an error that says what is expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"

namespace nett::builder {

// Names of tenants, machines, sets and BMCs: lower-case letters, digits, '-' and '.', starting with a letter or
// digit, 63 at most.
Result<void> check_name(std::string_view name);

// "tor-a/swp1=2001:db8:b000::/64".
Result<PortBinding> parse_port_binding(std::string_view text);

// "2001:db8:ffff::1" or "[2001:db8:ffff::1]:8443"; the port is 443 when not given.
Result<boost::asio::ip::tcp::endpoint> parse_metadata_server(std::string_view text);

// A management API target for gRPC: "unix:/run/nett/nettd.sock", or the socket's path alone.
Result<std::string> parse_server_target(std::string_view text);

// "https://[2001:db8:bc::1]", with a port if need be: an origin without a path.
Result<std::string> parse_bmc_endpoint(std::string_view text);

// SHA-256 of a certificate's DER, with or without colons: 64 hex digits in lower case.
Result<std::string> parse_pin(std::string_view text);

// The layers of a Talos extensions.yaml (YAML or JSON; the list itself or a mapping with "layers") as JSON array text.
Result<std::string> parse_extension_layers(std::string_view text);

}  // namespace nett::builder
