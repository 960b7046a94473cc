// The agent's own configuration commands, and the settings read from them.
#pragma once

#include <string>
#include <vector>

#include "agent/core/audit/audit.hpp"
#include "agent/core/host/api_settings.hpp"
#include "agent/core/host/state_settings.hpp"
#include "agent/core/metrics/settings.hpp"
#include "agent/core/webhooks/settings.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

struct FrrTargets {
    bool vtysh_backend = false;
    std::string zebra = "unix:/run/frr/zebra-grpc.sock";
    std::string bgpd = "unix:/run/frr/bgpd-grpc.sock";
    std::string vtysh_path = "/usr/bin/vtysh";
    std::string vtysh_socket_directory = "/var/run/frr";
    friend bool operator==(const FrrTargets&, const FrrTargets&) = default;
};

struct AgentSettings {
    std::string hostname;  // configured, else the system's
    LogLevel log_level = LogLevel::kInfo;
    LogFormat log_format = LogFormat::kText;
    std::string state_file = "/var/lib/nett/state.db";
    std::string secret_key_file = "/var/lib/nett/secret.key";
    std::string artifact_directory = "/var/lib/nett/artifacts";
    std::string api_socket = "/run/nett/nettd.sock";
    int io_threads = 2;  // TLS and files; a gateway has cores to spare, a switch CPU has two
    StateSettings state;
    ApiAccessSettings api;
    MetricsSettings metrics;
    std::string audit_file;  // empty: events only
    std::vector<WebhookSettings> webhooks;
    std::map<std::string, LogLevel, std::less<>> component_levels;
    FrrTargets frr;
};

// In the order of `show running-config`; they stand before the plugins' commands.
std::vector<ConfigCommand> root_commands();

// Requires a tree parsed with root_commands().
AgentSettings read_settings(const ConfigNode& root);

// What of the agent's own configuration cannot work.
std::vector<Diagnostic> validate_root(const ConfigNode& root);

// Warnings for what differs from `in_force` and only a restart of nettd can change (state file, key, artifacts, socket,
// hostname).
std::vector<Diagnostic> restart_warnings(const AgentSettings& in_force, const ConfigNode& candidate);

}  // namespace nett
