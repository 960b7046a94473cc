// `metrics listen …`: where Prometheus may scrape.
#pragma once

#include <string>
#include <vector>

#include "agent/core/access/access.hpp"
#include "agent/sdk/config.hpp"

namespace nett {

struct MetricsSettings {
    struct Listen {
        std::string endpoint;  // "[2001:db8::1]:9469"
        bool plain = false;    // HTTP; else HTTPS with a client certificate
        friend bool operator==(const Listen&, const Listen&) = default;
    };
    std::vector<Listen> listen;
    // The API's.
    std::string certificate;
    std::string private_key;
    std::string client_ca;
    Grants grants;  // any role of the scope kAgent may scrape
    friend bool operator==(const MetricsSettings&, const MetricsSettings&) = default;
};

std::vector<ConfigCommand> metrics_commands();
// Requires a tree parsed with metrics_commands() and api_commands(). Certificates and grants are the caller's to fill
// in.
MetricsSettings read_metrics_settings(const ConfigNode& root);
// What cannot work: a listener without certificates, the unspecified address, one endpoint in both manners.
std::vector<Diagnostic> validate_metrics(const ConfigNode& root);

}  // namespace nett
