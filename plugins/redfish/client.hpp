// The HTTP client that talks to one BMC: HTTP/1.1 over TCP or TLS, one connection, one request at a time.
#pragma once

#include <memory>
#include <string>

#include "plugins/redfish/http.hpp"
#include "plugins/redfish/origin.hpp"

namespace nett::redfish {

struct ClientSettings {
    Origin origin;
    std::string ca_file;        // PEM bundle that the certificate must chain to; empty: only the pin counts
    std::string pinned_sha256;  // lower-case hex; empty: any certificate, until set_pin()
};

// TLS work runs on `io`, in a strand of its own. With a CA and no pin, the certificate must also name the address (an
// IP SAN). Errors: the CA file's.
Result<std::unique_ptr<Transport>> make_client(asio::any_io_executor io, ClientSettings settings);

}  // namespace nett::redfish
