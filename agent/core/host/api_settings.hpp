// The agent's configuration of what goes between hosts: the API on TCP, who may do what there, the agents that this one
// reports to, and what is reported.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/core/access/access.hpp"
#include "agent/sdk/config.hpp"

namespace nett {

// Another agent that this one reports its ports' prefixes to.
struct UpstreamSettings {
    std::string endpoint;     // "[2001:db8:ffff::1]:8443"
    std::string server_name;  // in its certificate; empty: the address itself
    friend bool operator==(const UpstreamSettings&, const UpstreamSettings&) = default;
};

struct ApiAccessSettings {
    std::vector<std::string> listen;
    // One identity for both directions: as server of the API, and as client of the upstreams.
    std::string certificate;
    std::string private_key;
    std::string client_ca;
    Grants grants;
    std::vector<UpstreamSettings> upstreams;
    // A machine's prefix counts as there, or as gone, after this time without a change.
    std::chrono::seconds stable_time{5};
    friend bool operator==(const ApiAccessSettings&, const ApiAccessSettings&) = default;
};

std::vector<ConfigCommand> api_commands();
// Requires a tree parsed with api_commands().
ApiAccessSettings read_api_settings(const ConfigNode& root);
// What cannot work: a listener or an upstream without certificates, the unspecified address, a name with two roles.
std::vector<Diagnostic> validate_api(const ConfigNode& root);

}  // namespace nett
