#include "plugins/metadata/settings.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "plugins/metadata/delivery_settings.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/route.hpp"

namespace nett::metadata {

namespace {

using Findings = std::vector<Diagnostic>;

void require(const ConfigEntry& plugin, std::string_view id, std::string_view example, Findings& findings) {
    if (plugin.children().has(id)) return;
    findings.push_back(error_at(plugin, fmt::format("\"{}\" is missing; add e.g. \"{}\"", id, example)));
}

void check_validity(const ConfigEntry& entry, const CertificateInfo& info, Findings& findings) {
    const auto now = std::chrono::system_clock::now();
    // Not an error: an agent must come up to say so, and iPXE machines with a wrong clock may still take it.
    if (now > info.not_after) findings.push_back(warning_at(entry, "the certificate has expired; renew it"));
    if (now < info.not_before)
        findings.push_back(warning_at(entry, "the certificate is not valid yet; check the clock"));
}

void check_certificate(const ConfigEntry& plugin, Findings& findings) {
    const auto* entry = plugin.children().find("certificate");
    if (entry == nullptr) return;
    const auto info = read_certificate(entry->arg("file"));
    if (!info) {
        findings.push_back(error_at(*entry, info.error().to_string()));
        return;
    }
    check_validity(*entry, *info, findings);
    if (!info->sends_root) {
        findings.push_back(warning_at(*entry,
                                      "the file does not end with the root certificate; iPXE knows only its "
                                      "fingerprint and needs it sent: append it"));
    }
    if (!info->ipxe_key) {
        findings.push_back(
            warning_at(*entry, "iPXE verifies only RSA, P-256 and P-384 keys; issue a P-256 certificate"));
    }
    const auto* server = plugin.children().find("server-address");
    if (server == nullptr) return;
    const auto address = server->address("address");
    if (std::find(info->addresses.begin(), info->addresses.end(), address) != info->addresses.end()) return;
    findings.push_back(
        warning_at(*server, fmt::format("the certificate has no subject alternative name for {}; clients will "
                                        "refuse it: issue one with that IP address",
                                        address.to_string())));
}

void check_key(const ConfigEntry& plugin, Findings& findings) {
    const auto* entry = plugin.children().find("private-key");
    if (entry == nullptr) return;
    const std::string& path = entry->arg("file");
    const auto* certificate = plugin.children().find("certificate");
    // Without a certificate command the key is still read, against itself: what it says of the missing one is dropped.
    const auto checked = check_private_key(path, certificate == nullptr ? path : certificate->arg("file"));
    if (!checked) {
        findings.push_back(error_at(*entry, checked.error().to_string()));
        return;
    }
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO) & ~S_IRGRP) != 0) {
        findings.push_back(warning_at(*entry, path + " can be read by others; chmod 0640 or 0600"));
    }
}

void check_names(const ConfigEntry& plugin, Findings& findings) {
    for (const auto* id : {"rescue-set", "erase-set"}) {
        const auto* entry = plugin.children().find(id);
        if (entry == nullptr || is_plain_name(entry->arg("name"))) continue;
        findings.push_back(error_at(*entry, "an artifact set's name has letters, digits and ._+- only"));
    }
}

}  // namespace

std::vector<ConfigCommand> config_commands() {
    constexpr const char* kNode = "metadata";
    std::vector<ConfigCommand> commands;
    commands.push_back({"", "plugin metadata", "The HTTPS service that machines ask at every boot", {}, {}, kNode});
    commands.push_back({kNode,
                        "listen {endpoint:endpoint6}",
                        "An address and port to serve on; the address need not exist yet",
                        {{"endpoint", "e.g. [2001:db8:ffff::1]:443"}},
                        {"endpoint"}});
    commands.push_back({kNode,
                        "server-address {address:address6}",
                        "The address in the URLs of boot scripts",
                        {{"address", "usually the anycast address; must be a name in the certificate"}},
                        {},
                        {},
                        "the address that the client connected to"});
    commands.push_back({kNode,
                        "certificate {file:path}",
                        "The server's certificate: PEM, leaf first, up to and with the root",
                        {{"file", "absolute path"}}});
    commands.push_back({kNode,
                        "private-key {file:path}",
                        "The certificate's private key: PEM, unencrypted",
                        {{"file", "absolute path"}}});
    commands.push_back({kNode,
                        "client-ca {file:path}",
                        "The CA certificates that client certificates must chain to: PEM",
                        {{"file", "absolute path"}}});
    commands.push_back({kNode,
                        "client-crl {file:path}",
                        "A revocation list of client certificates; with one, each client CA needs one: PEM",
                        {{"file", "absolute path"}},
                        {"file"}});
    commands.push_back({kNode,
                        "rescue-set {name:word}",
                        "The artifact set that machines in state Maintenance boot",
                        {{"name", "see \"show artifacts\""}},
                        {},
                        {},
                        "the machine's own set, without its config"});
    commands.push_back({kNode,
                        "erase-set {name:word}",
                        "The artifact set that machines in state Decommission boot",
                        {{"name", "see \"show artifacts\""}},
                        {},
                        {},
                        "none: they boot their disk"});
    commands.push_back({kNode,
                        "fetch-timeout {milliseconds:int:1000..120000}",
                        "How long iPXE waits without progress for a file of its script",
                        {{"milliseconds", "1000..120000"}},
                        {},
                        {},
                        std::to_string(kDefaultFetchTimeoutMs)});
    auto delivery = delivery_commands();
    commands.insert(commands.end(), std::make_move_iterator(delivery.begin()), std::make_move_iterator(delivery.end()));
    commands.push_back({kNode,
                        "max-connections {count:int:1..100000}",
                        "Connections served at once; above it the answer is 503 with Retry-After",
                        {{"count", "1..100000"}},
                        {},
                        {},
                        std::to_string(kDefaultMaxConnections)});
    commands.push_back({kNode,
                        "max-connections-per-source {count:int:1..100000}",
                        "Connections at once from one /64; above it they are closed",
                        {{"count", "1..100000"}},
                        {},
                        {},
                        std::to_string(kDefaultMaxConnectionsPerSource)});
    for (auto& command : side_commands()) commands.push_back(std::move(command));
    return commands;
}

std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment&) {
    Findings findings;
    require(plugin, "listen", "listen [2001:db8:ffff::1]:443", findings);
    require(plugin, "certificate", "certificate /etc/nett/server.pem", findings);
    require(plugin, "private-key", "private-key /etc/nett/server.key", findings);
    require(plugin, "client-ca", "client-ca /etc/nett/client-ca.pem", findings);
    check_certificate(plugin, findings);
    check_key(plugin, findings);
    if (const auto* entry = plugin.children().find("client-ca")) {
        const auto checked = check_client_ca(entry->arg("file"));
        if (!checked) findings.push_back(error_at(*entry, checked.error().to_string()));
    }
    for (const auto* entry : plugin.children().all("client-crl")) {
        const auto checked = check_client_crl(entry->arg("file"));
        if (!checked) findings.push_back(error_at(*entry, checked.error().to_string()));
    }
    check_names(plugin, findings);
    for (auto& finding : validate_side(plugin)) findings.push_back(std::move(finding));
    const auto delivery = check_delivery(plugin);
    findings.insert(findings.end(), delivery.begin(), delivery.end());
    return findings;
}

Settings settings_of(const ConfigNode& node) {
    Settings settings;
    for (const auto* entry : node.all("listen")) settings.listen.push_back(entry->endpoint("endpoint"));
    settings.tls = {node.text("certificate", "file", ""), node.text("private-key", "file", ""),
                    node.text("client-ca", "file", "")};
    for (const auto* entry : node.all("client-crl")) settings.tls.client_crls.push_back(entry->arg("file"));
    settings.limits.total = static_cast<int>(node.integer("max-connections", "count", kDefaultMaxConnections));
    settings.limits.per_source =
        static_cast<int>(node.integer("max-connections-per-source", "count", kDefaultMaxConnectionsPerSource));
    if (const auto* entry = node.find("server-address")) settings.service.server_address = entry->address("address");
    settings.service.rescue_set = node.text("rescue-set", "name", "");
    settings.service.erase_set = node.text("erase-set", "name", "");
    settings.service.fetch_timeout =
        std::chrono::milliseconds(node.integer("fetch-timeout", "milliseconds", kDefaultFetchTimeoutMs));
    settings.side = side_settings_of(node);
    read_delivery(node, settings);
    return settings;
}

}  // namespace nett::metadata
