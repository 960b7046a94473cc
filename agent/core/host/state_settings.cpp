#include "agent/core/host/state_settings.hpp"

#include "agent/sdk/address.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr const char* kEtcd = "state etcd";
constexpr std::string_view kScheme = "https://";

// The endpoint of "https://[2001:db8::1]:2379", with or without a slash at its end.
Result<std::string> endpoint_of(std::string_view url) {
    if (url.ends_with('/')) url.remove_suffix(1);
    auto endpoint = parse_endpoint6(url.starts_with(kScheme) ? url.substr(kScheme.size()) : std::string_view());
    if (endpoint) return to_string(*endpoint);
    return fail(Code::kInvalidArgument, "\"{}\" is not https://[ADDRESS]:PORT", url);
}

std::vector<std::string_view> urls_of(const ConfigEntry& entry) {
    auto urls = split(entry.arg("members"), ' ');
    std::erase_if(urls, [](std::string_view url) { return url.empty(); });
    return urls;
}

ConfigCommand file_command(const std::string& word, const std::string& help, const std::string& file) {
    return {"", "state " + word + " {path:path}", help, {{"state", "State"}, {word, help}, {"path", file}}};
}

}  // namespace

std::vector<ConfigCommand> state_commands() {
    const StateSettings defaults;
    return {
        {"",
         "state etcd {members:text}",
         "Share the state with other servers through etcd",
         {{"state", "State"}, {"etcd", "Members of the etcd cluster"}, {"members", "https://[ADDRESS]:PORT …"}},
         {},
         {},
         "the state file is this server's own"},
        file_command("certificate", "Client certificate for etcd", "PEM, the chain with the leaf first"),
        file_command("private-key", "Private key of the certificate for etcd", "PEM"),
        file_command("server-ca", "Roots that the certificates of etcd's members must chain to", "PEM"),
        {"",
         "state server-name {name:word}",
         "Expect this name in the certificates of etcd's members",
         {{"state", "State"}, {"server-name", "DNS name in the certificates"}, {"name", "The name"}},
         {},
         {},
         "the members' addresses"},
        {"",
         "state prefix {prefix:path}",
         "Where the servers' common state is in etcd; servers with one prefix share it",
         {{"state", "State"}, {"prefix", "Of etcd's keys, like /nett"}},
         {},
         {},
         defaults.prefix},
        {"",
         "state max-lag {seconds:int:2..600}",
         "How old this server's copy may be before others are preferred",
         {{"state", "State"}, {"max-lag", "Bound of the copy's age"}, {"seconds", "Seconds"}},
         {},
         {},
         std::to_string(defaults.max_lag.count())},
        {"",
         "state artifact-endpoint {endpoint:endpoint6}",
         "Where the other servers fetch artifacts from this one",
         {{"state", "State"},
          {"artifact-endpoint", "An endpoint of \"api listen\" that is this server's alone"},
          {"endpoint", "[ADDRESS]:PORT"}},
         {},
         {},
         "the first of \"api listen\" that is no loopback address"},
    };
}

StateSettings read_state_settings(const ConfigNode& root) {
    StateSettings out;
    if (const auto* entry = root.find(kEtcd)) {
        for (const auto url : urls_of(*entry)) {
            if (auto endpoint = endpoint_of(url)) out.etcd.push_back(std::move(*endpoint));
        }
    }
    out.certificate = root.text("state certificate", "path", "");
    out.private_key = root.text("state private-key", "path", "");
    out.server_ca = root.text("state server-ca", "path", "");
    out.server_name = root.text("state server-name", "name", "");
    out.prefix = root.text("state prefix", "prefix", out.prefix);
    while (out.prefix.ends_with('/')) out.prefix.pop_back();
    out.artifact_endpoint = root.text("state artifact-endpoint", "endpoint", "");
    out.max_lag = std::chrono::seconds(root.integer("state max-lag", "seconds", out.max_lag.count()));
    return out;
}

std::vector<Diagnostic> validate_state(const ConfigNode& root) {
    std::vector<Diagnostic> findings;
    const auto* entry = root.find(kEtcd);
    if (entry == nullptr) return findings;
    for (const auto url : urls_of(*entry)) {
        if (const auto endpoint = endpoint_of(url); !endpoint) {
            findings.push_back(error_at(*entry, endpoint.error().message));
        }
    }
    if (!root.has("state certificate") || !root.has("state private-key") || !root.has("state server-ca")) {
        findings.push_back(error_at(*entry,
                                    "needs \"state certificate\", \"state private-key\" and \"state server-ca\": etcd "
                                    "is spoken to with mutual TLS only"));
    }
    return findings;
}

}  // namespace nett
