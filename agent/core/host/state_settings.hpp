// The agent's configuration of state that several servers share: etcd's members, the certificate files, the bound of
// the copy's age.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/sdk/config.hpp"

namespace nett {

struct StateSettings {
    std::vector<std::string> etcd;  // members, "[2001:db8::1]:2379"; empty: the state is this server's own
    std::string certificate;        // PEM files
    std::string private_key;
    std::string server_ca;
    std::string server_name;  // in the members' certificates; empty: their addresses
    std::string prefix = "/nett";
    std::chrono::seconds max_lag{10};
    std::string artifact_endpoint;  // where other servers fetch artifacts from this one; empty: `api listen` says
    friend bool operator==(const StateSettings&, const StateSettings&) = default;
};

std::vector<ConfigCommand> state_commands();
// Requires a tree parsed with state_commands(). Members that are no URL are left out; validate_state() names them.
StateSettings read_state_settings(const ConfigNode& root);
// What cannot work: something else than https://[ADDRESS]:PORT, members without certificate files.
std::vector<Diagnostic> validate_state(const ConfigNode& root);

}  // namespace nett
