// The configuration of `plugin metadata`: its commands, their checks, and the values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/config.hpp"
#include "plugins/metadata/admission.hpp"
#include "plugins/metadata/service_settings.hpp"
#include "plugins/metadata/side_settings.hpp"
#include "plugins/metadata/tls.hpp"

namespace nett::metadata {

struct Settings {
    std::vector<boost::asio::ip::tcp::endpoint> listen;
    std::vector<boost::asio::ip::tcp::endpoint> token_listen;
    TlsFiles tls;
    ConnectionLimits limits;
    ServiceSettings service;
    SideSettings side;
};

std::vector<ConfigCommand> config_commands();
// All findings at once. Reads the three PEM files.
std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment& environment);
// Of a node that validate() found no error in.
Settings settings_of(const ConfigNode& node);

}  // namespace nett::metadata
