#include "agent/core/host/root_commands.hpp"

#include <algorithm>
#include <climits>
#include <iterator>

#include <unistd.h>

namespace nett {

namespace {

std::string system_hostname() {
    char name[HOST_NAME_MAX + 1] = {};
    return ::gethostname(name, HOST_NAME_MAX) == 0 && name[0] != '\0' ? name : "nett";
}

LogLevel log_level_of(const std::string& word) {
    if (word == "debug") return LogLevel::kDebug;
    if (word == "warning") return LogLevel::kWarning;
    if (word == "error") return LogLevel::kError;
    return LogLevel::kInfo;
}

}  // namespace

std::vector<ConfigCommand> root_commands() {
    const AgentSettings defaults;
    std::vector<ConfigCommand> commands{
        {"",
         "hostname {name:word}",
         "Name of this agent, and of the switch in port names like tor-a/swp7",
         {{"name", "Host name"}},
         {},
         {},
         "the system's host name"},
        {"",
         "log level {level:choice:debug|info|warning|error}",
         "Least severe log lines that are written",
         {{"log", "Logging"}, {"level", "Severity"}},
         {},
         {},
         "info"},
        {"",
         "log level {level:choice:debug|info|warning|error} component {component:word}",
         "The same for the lines of one component",
         {{"log", "Logging"},
          {"level", "Severity"},
          {"component", "Source of the lines, as they name it: agent, api, metadata, ra, redfish …"}},
         {"component"}},
        {"",
         "log format {format:choice:text|json}",
         "Shape of log lines on standard error",
         {{"log", "Logging"}, {"format", "Shape"}},
         {},
         {},
         "text"},
        {"",
         "state file {path:path}",
         "SQLite file that holds tenants, machines, artifact sets and jobs",
         {{"state", "State file"}, {"file", "Where it is"}, {"path", "Absolute path"}},
         {},
         {},
         defaults.state_file},
        {"",
         "secret-key file {path:path}",
         "Key that seals machine configs and BMC passwords at rest",
         {{"secret-key", "Key of secrets at rest"}, {"file", "Where it is"}, {"path", "Absolute path"}},
         {},
         {},
         defaults.secret_key_file},
        {"",
         "artifacts directory {path:path}",
         "Where kernels and initramfs files are kept, by content",
         {{"artifacts", "Artifact store"}, {"directory", "Where it is"}, {"path", "Absolute path"}},
         {},
         {},
         defaults.artifact_directory},
        {"",
         "io-threads {count:int:1..64}",
         "Threads that carry TLS and files; about as many as cores to spare",
         {{"count", "1..64"}},
         {},
         {},
         std::to_string(defaults.io_threads)},
        {"",
         "api socket {path:path}",
         "Unix socket of the management API",
         {{"api", "Management API"}, {"socket", "Unix socket"}, {"path", "Absolute path"}},
         {},
         {},
         defaults.api_socket},
        {"",
         "frr backend {backend:choice:grpc|vtysh}",
         "How FRRouting is programmed",
         {{"frr", "FRRouting"}, {"backend", "Northbound gRPC, or vtysh where the module cannot be added"}},
         {},
         {},
         "grpc"},
        {"",
         "frr zebra target {target:word}",
         "gRPC target of zebra's northbound module",
         {{"frr", "FRRouting"}, {"zebra", "Router advertisements"}, {"target", "unix:PATH or [ADDRESS]:PORT"}},
         {},
         {},
         defaults.frr.zebra},
        {"",
         "frr bgpd target {target:word}",
         "gRPC target of bgpd's northbound module",
         {{"frr", "FRRouting"}, {"bgpd", "Prefix lists"}, {"target", "unix:PATH or [ADDRESS]:PORT"}},
         {},
         {},
         defaults.frr.bgpd},
        {"",
         "frr vtysh path {path:path}",
         "The vtysh program, for reading BGP state",
         {{"frr", "FRRouting"}, {"vtysh", "FRR's shell"}, {"path", "Absolute path"}},
         {},
         {},
         defaults.frr.vtysh_path},
        {"",
         "frr vtysh socket-directory {path:path}",
         "Where FRR's daemons have their vty sockets",
         {{"frr", "FRRouting"},
          {"vtysh", "FRR's shell"},
          {"socket-directory", "vty sockets"},
          {"path", "Absolute path"}},
         {},
         {},
         defaults.frr.vtysh_socket_directory},
    };
    const auto at = [&](std::string_view pattern) {
        return std::find_if(commands.begin(), commands.end(),
                            [&](const auto& command) { return command.pattern.starts_with(pattern); });
    };
    auto state = state_commands();
    commands.insert(at("secret-key "), std::make_move_iterator(state.begin()), std::make_move_iterator(state.end()));
    // The API's own commands stand behind its socket.
    auto api = api_commands();
    for (auto more : {metrics_commands(), audit_commands(), webhook_commands()}) {
        std::move(more.begin(), more.end(), std::back_inserter(api));
    }
    commands.insert(at("frr "), std::make_move_iterator(api.begin()), std::make_move_iterator(api.end()));
    return commands;
}

AgentSettings read_settings(const ConfigNode& root) {
    const AgentSettings defaults;
    AgentSettings out;
    out.hostname = root.has("hostname") ? root.text("hostname", "name", "") : system_hostname();
    out.log_level = log_level_of(root.text("log level", "level", "info"));
    out.log_format = root.text("log format", "format", "text") == "json" ? LogFormat::kJson : LogFormat::kText;
    out.state_file = root.text("state file", "path", defaults.state_file);
    out.secret_key_file = root.text("secret-key file", "path", defaults.secret_key_file);
    out.artifact_directory = root.text("artifacts directory", "path", defaults.artifact_directory);
    out.io_threads = static_cast<int>(root.integer("io-threads", "count", defaults.io_threads));
    out.api_socket = root.text("api socket", "path", defaults.api_socket);
    out.frr.vtysh_backend = root.text("frr backend", "backend", "grpc") == "vtysh";
    out.frr.zebra = root.text("frr zebra target", "target", defaults.frr.zebra);
    out.frr.bgpd = root.text("frr bgpd target", "target", defaults.frr.bgpd);
    out.frr.vtysh_path = root.text("frr vtysh path", "path", defaults.frr.vtysh_path);
    out.frr.vtysh_socket_directory =
        root.text("frr vtysh socket-directory", "path", defaults.frr.vtysh_socket_directory);
    out.api = read_api_settings(root);
    out.metrics = read_metrics_settings(root);
    out.metrics.certificate = out.api.certificate;
    out.metrics.private_key = out.api.private_key;
    out.metrics.client_ca = out.api.client_ca;
    out.metrics.grants = out.api.grants;
    out.audit_file = read_audit_file(root);
    out.webhooks = read_webhooks(root);
    for (const auto* entry : root.all("log level component")) {
        out.component_levels[entry->arg("component")] = log_level_of(entry->arg("level"));
    }
    out.state = read_state_settings(root);
    return out;
}

std::vector<Diagnostic> validate_root(const ConfigNode& root) {
    auto findings = validate_api(root);
    for (auto more : {validate_metrics(root), validate_webhooks(root)}) {
        std::move(more.begin(), more.end(), std::back_inserter(findings));
    }
    for (auto& finding : validate_state(root)) findings.push_back(std::move(finding));
    return findings;
}

std::vector<Diagnostic> restart_warnings(const AgentSettings& in_force, const ConfigNode& candidate) {
    const AgentSettings next = read_settings(candidate);
    std::vector<Diagnostic> warnings;
    const auto warn = [&](std::string_view id, bool differs) {
        if (!differs) return;
        const auto* entry = candidate.find(id);
        warnings.push_back({Diagnostic::Severity::kWarning, entry != nullptr ? entry->where() : SourceLocation{},
                            fmt::format("\"{}\" takes effect at the next start of nettd", id)});
    };
    warn("hostname", next.hostname != in_force.hostname);
    warn("state file", next.state_file != in_force.state_file);
    warn("state etcd", next.state != in_force.state);
    warn("secret-key file", next.secret_key_file != in_force.secret_key_file);
    warn("artifacts directory", next.artifact_directory != in_force.artifact_directory);
    warn("io-threads", next.io_threads != in_force.io_threads);
    warn("api socket", next.api_socket != in_force.api_socket);
    return warnings;
}

}  // namespace nett
