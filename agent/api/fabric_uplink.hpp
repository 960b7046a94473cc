// The way to an upstream's nett.v1.Fabric, over TCP with mutual TLS.
#pragma once

#include <memory>
#include <string>

#include "agent/api/certificates.hpp"
#include "agent/fabric/reporter.hpp"

namespace nett {

// A report takes no longer than this; an upstream that is cut off is found out by it.
inline constexpr std::chrono::seconds kReportTime{5};

struct UplinkSettings {
    std::string endpoint;     // "[2001:db8::1]:8443"
    std::string server_name;  // in its certificate; empty: the endpoint's address
    ApiCertificates certificates;
};

// Connects at the first report and, with the files as they are then, after each failure.
std::unique_ptr<FabricUplink> make_fabric_uplink(asio::any_io_executor loop, UplinkSettings settings);

}  // namespace nett
