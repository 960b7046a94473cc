#include "plugins/metadata/netbox_settings.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr const char* kNode = "metadata";

bool is_field(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
    });
}

void check_token(const ConfigEntry& entry, std::vector<Diagnostic>& findings) {
    const auto& path = entry.arg("file");
    const auto text = read_file(path, kNetboxMaxToken);
    const auto authorization = text ? netbox_authorization(*text) : Result<std::string>(fail(Error(text.error())));
    if (!authorization) {
        findings.push_back(warning_at(entry, path + ": " + authorization.error().message));
        return;
    }
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO) & ~S_IRGRP) != 0) {
        findings.push_back(warning_at(entry, path + " can be read by others; chmod 0640 or 0600"));
    }
}

void check_texts(const ConfigNode& node, std::vector<Diagnostic>& findings) {
    if (const auto* filter = node.find("netbox filter"); filter != nullptr && !is_netbox_filter(filter->arg("query"))) {
        findings.push_back(error_at(*filter,
                                    "a filter is what stands behind the \"?\" of a NetBox API URL, without limit and "
                                    "offset; e.g. \"netbox filter role=loopback&status=active\""));
    }
    if (const auto* field = node.find("netbox machine-field"); field != nullptr && !is_field(field->arg("path"))) {
        findings.push_back(error_at(*field, "a field is a dotted path, e.g. assigned_object.device"));
    }
}

}  // namespace

std::vector<ConfigCommand> netbox_commands() {
    std::vector<ConfigCommand> commands;
    commands.push_back({kNode,
                        "netbox url {origin:word}",
                        "Read production prefixes from this NetBox",
                        {{"origin", "https://netbox.example or https://[2001:db8::5]:8443"}},
                        {},
                        {},
                        "none"});
    commands.push_back({kNode, "netbox token-file {file:path}", "The API token", {{"file", "absolute path"}}});
    commands.push_back({kNode,
                        "netbox ca {file:path}",
                        "The CA certificates that NetBox's certificate must chain to: PEM",
                        {{"file", "absolute path"}}});
    commands.push_back({kNode,
                        "netbox objects {kind:choice:ip-addresses|prefixes}",
                        "What is a production prefix in NetBox",
                        {{"kind", "ip-addresses: each address as a prefix of 128 bits; prefixes: as they are"}},
                        {},
                        {},
                        "ip-addresses"});
    commands.push_back({kNode,
                        "netbox filter {query:word}",
                        "Which of them: the query of a NetBox API URL",
                        {{"query", "e.g. role=loopback&status=active"}},
                        {},
                        {},
                        "all IPv6 ones"});
    commands.push_back({kNode,
                        "netbox machine-field {path:word}",
                        "The member that says whose it is",
                        {{"path", "dotted path to a text or to an object with a name"}},
                        {},
                        {},
                        "assigned_object.device; custom_fields.device for prefixes"});
    commands.push_back({kNode,
                        "netbox match {by:choice:name|serial}",
                        "What of a machine that member is compared with",
                        {{"by", "the machine's name or its serial number"}},
                        {},
                        {},
                        "name"});
    commands.push_back({kNode,
                        "netbox refresh {seconds:int:10..86400}",
                        "How often NetBox is read",
                        {{"seconds", "10..86400"}},
                        {},
                        {},
                        std::to_string(kNetboxDefaultRefresh.count())});
    return commands;
}

std::vector<Diagnostic> validate_netbox(const ConfigEntry& plugin) {
    std::vector<Diagnostic> findings;
    const auto& node = plugin.children();
    const auto* url = node.find("netbox url");
    check_texts(node, findings);
    if (url == nullptr) return findings;
    const auto origin = parse_netbox_origin(url->arg("origin"));
    if (!origin) findings.push_back(error_at(*url, origin.error().message));
    const auto* token = node.find("netbox token-file");
    const auto* ca = node.find("netbox ca");
    if (token == nullptr) {
        findings.push_back(error_at(*url,
                                    "\"netbox token-file\" is missing; add e.g. \"netbox token-file "
                                    "/etc/nett/netbox.token\""));
    } else {
        check_token(*token, findings);
    }
    if (ca == nullptr) {
        findings.push_back(error_at(*url,
                                    "\"netbox ca\" is missing; add e.g. \"netbox ca "
                                    "/etc/ssl/certs/ca-certificates.crt\""));
    } else if (::access(ca->arg("file").c_str(), R_OK) != 0) {
        findings.push_back(warning_at(*ca, ca->arg("file") + " cannot be read"));
    }
    return findings;
}

std::optional<NetboxSettings> netbox_settings_of(const ConfigNode& node) {
    const auto* url = node.find("netbox url");
    if (url == nullptr) return std::nullopt;
    NetboxSettings settings;
    settings.origin = parse_netbox_origin(url->arg("origin")).value();
    settings.token_file = node.text("netbox token-file", "file", "");
    settings.ca_file = node.text("netbox ca", "file", "");
    settings.filter = node.text("netbox filter", "query", "");
    const auto kind = node.text("netbox objects", "kind", "ip-addresses");
    settings.objects = kind == "prefixes" ? NetboxObjects::kPrefixes : NetboxObjects::kAddresses;
    settings.field = node.text("netbox machine-field", "path", default_netbox_field(settings.objects));
    const auto match = node.text("netbox match", "by", "name");
    settings.match = match == "serial" ? NetboxMatch::kSerial : NetboxMatch::kName;
    settings.refresh = std::chrono::seconds(node.integer("netbox refresh", "seconds", kNetboxDefaultRefresh.count()));
    return settings;
}

}  // namespace nett::metadata
