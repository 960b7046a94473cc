// What the configuration says about answers; a value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/address.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/squashfs.hpp"

namespace nett::metadata {

// A switch port by the prefix that is advertised there.
struct PortPrefix {
    std::string port;  // "tor-a/swp7"
    Prefix6 prefix;
};

struct ServiceSettings {
    std::optional<Address6> server_address;  // in the scripts' URLs; none: the address that the client connected to
    std::string rescue_set;                  // what Maintenance boots; empty: the machine's own set, without its config
    std::string erase_set;                   // what Decommission boots; empty: nothing, such machines boot their disk
    std::chrono::milliseconds fetch_timeout{kDefaultFetchTimeoutMs};
    ImageCompression compression = ImageCompression::kXz;
    std::vector<PortPrefix> ports;  // for telling behind which port an unknown machine is
    // Delivery "token": where the token listener is (0: nowhere), how long a token is good, and what makes Talos trust
    // our root.
    std::uint16_t token_port = 0;
    std::chrono::seconds token_lifetime{kDefaultTokenLifetimeSeconds};
    std::string trusted_root;
};

}  // namespace nett::metadata
