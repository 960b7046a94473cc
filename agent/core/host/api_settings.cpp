#include "agent/core/host/api_settings.hpp"

namespace nett {

namespace {

constexpr const char* kListen = "api listen";
constexpr const char* kRole = "api role common-name";
constexpr const char* kTenantRole = "api role tenant common-name";
constexpr const char* kUpstream = "upstream";
constexpr const char* kUpstreamName = "upstream server-name";

ConfigCommand file_command(const std::string& word, const std::string& help, const std::string& file) {
    return {"", "api " + word + " {path:path}", help, {{"api", "Management API"}, {word, help}, {"path", file}}};
}

Grant grant_of(const std::string& role) {
    if (role == "admin") return {Role::kAdmin};
    if (role == "operator") return {Role::kOperator};
    if (role == "fabric") return {Role::kViewer, Scope::kFabric};
    if (role == "server") return {Role::kViewer, Scope::kServer};
    return {Role::kViewer};
}

void check_listen(const ConfigNode& root, bool has_files, std::vector<Diagnostic>& findings) {
    const auto entries = root.all(kListen);
    for (const auto* entry : entries) {
        if (entry->endpoint("endpoint").address().is_unspecified()) {
            findings.push_back(error_at(*entry, "[::] would serve IPv4 too; name an address of this host"));
        }
        if (!has_files) {
            findings.push_back(error_at(
                *entry,
                "needs \"api certificate\", \"api private-key\" and \"api client-ca\": TCP is served with mutual "
                "TLS only"));
        }
    }
    const auto grants = read_api_settings(root).grants;
    if (!entries.empty() && grants.empty()) {
        findings.push_back(
            warning_at(*entries.front(), "nobody may call there; add \"api role ROLE common-name NAME\""));
    }
}

void check_roles(const ConfigNode& root, std::vector<Diagnostic>& findings) {
    for (const auto* entry : root.all(kTenantRole)) {
        for (const auto* other : root.all(kRole)) {
            if (other->arg("name") != entry->arg("name")) continue;
            findings.push_back(error_at(*entry, fmt::format("{} has the role {} already; a certificate has one role",
                                                            entry->arg("name"), other->arg("role"))));
        }
    }
}

void check_upstreams(const ConfigNode& root, bool has_files, std::vector<Diagnostic>& findings) {
    for (const auto* entry : root.all(kUpstream)) {
        if (has_files) continue;
        findings.push_back(error_at(
            *entry,
            "needs \"api certificate\", \"api private-key\" and \"api client-ca\": agents know each other by them"));
    }
    for (const auto* name : root.all(kUpstreamName)) {
        bool known = false;
        for (const auto* entry : root.all(kUpstream)) known |= entry->arg("endpoint") == name->arg("endpoint");
        if (!known) findings.push_back(error_at(*name, fmt::format("add \"upstream {}\"", name->arg("endpoint"))));
    }
}

}  // namespace

std::vector<ConfigCommand> api_commands() {
    return {
        {"",
         "api listen {endpoint:endpoint6}",
         "Serve the management API on TCP, with mutual TLS",
         {{"api", "Management API"}, {"listen", "TCP endpoint"}, {"endpoint", "[ADDRESS]:PORT"}},
         {"endpoint"},
         {},
         "only the Unix socket"},
        file_command("certificate", "Certificate of this agent, for the API and for its upstreams",
                     "PEM, the chain with the leaf first"),
        file_command("private-key", "Private key of the certificate", "PEM"),
        file_command("client-ca", "Roots that the certificates of clients and upstreams must chain to", "PEM"),
        {"",
         "api role {role:choice:admin|operator|viewer|fabric|server} common-name {name:word}",
         "What a client may do, by its certificate's common name",
         {{"api", "Management API"},
          {"role",
           "admin: all; operator: machines and jobs; viewer: read; fabric: a switch that reports; server: one that "
           "shares "
           "this state and fetches artifacts"},
          {"common-name", "Of the client's certificate"},
          {"name", "Compared byte for byte"}},
         {"name"}},
        {"",
         "api role tenant {tenant:word:@tenants} common-name {name:word}",
         "Let a client see and operate the machines of one tenant",
         {{"api", "Management API"},
          {"role", "What a client may do"},
          {"tenant", "Only its own machines and jobs"},
          {"common-name", "Of the client's certificate"},
          {"name", "Compared byte for byte"}},
         {"name"}},
        {"",
         "upstream {endpoint:endpoint6}",
         "Report the prefixes that machines announce on this switch's ports to another agent",
         {{"upstream", "Agent that has the machines' records"}, {"endpoint", "[ADDRESS]:PORT of its API"}},
         {"endpoint"}},
        {"",
         "upstream {endpoint:endpoint6} server-name {name:word}",
         "Expect this name in the upstream's certificate",
         {{"upstream", "Agent that has the machines' records"},
          {"endpoint", "[ADDRESS]:PORT of its API"},
          {"server-name", "DNS name in the certificate"},
          {"name", "The name"}},
         {"endpoint"},
         {},
         "the endpoint's address"},
        {"",
         "fabric stable-time {seconds:int:0..3600}",
         "How long a machine's prefix must be there, or gone, before that counts",
         {{"fabric", "Prefixes that machines announce"}, {"stable-time", "Without a change"}, {"seconds", "Seconds"}},
         {},
         {},
         "5"},
    };
}

ApiAccessSettings read_api_settings(const ConfigNode& root) {
    ApiAccessSettings out;
    for (const auto* entry : root.all(kListen)) out.listen.push_back(entry->arg("endpoint"));
    out.certificate = root.text("api certificate", "path", "");
    out.private_key = root.text("api private-key", "path", "");
    out.client_ca = root.text("api client-ca", "path", "");
    for (const auto* entry : root.all(kRole)) out.grants[entry->arg("name")] = grant_of(entry->arg("role"));
    for (const auto* entry : root.all(kTenantRole)) {
        out.grants[entry->arg("name")] = {Role::kViewer, Scope::kTenant, entry->arg("tenant")};
    }
    for (const auto* entry : root.all(kUpstream)) out.upstreams.push_back({entry->arg("endpoint"), ""});
    for (const auto* entry : root.all(kUpstreamName)) {
        for (auto& upstream : out.upstreams) {
            if (upstream.endpoint == entry->arg("endpoint")) upstream.server_name = entry->arg("name");
        }
    }
    out.stable_time = std::chrono::seconds(root.integer("fabric stable-time", "seconds", out.stable_time.count()));
    return out;
}

std::vector<Diagnostic> validate_api(const ConfigNode& root) {
    std::vector<Diagnostic> findings;
    const bool has_files = root.has("api certificate") && root.has("api private-key") && root.has("api client-ca");
    check_listen(root, has_files, findings);
    check_roles(root, findings);
    check_upstreams(root, has_files, findings);
    return findings;
}

}  // namespace nett
