#include "agent/core/metrics/settings.hpp"

#include <algorithm>

namespace nett {

namespace {

constexpr const char* kListen = "metrics listen";
constexpr const char* kListenPlain = "metrics listen plain";

}  // namespace

std::vector<ConfigCommand> metrics_commands() {
    return {
        {"",
         "metrics listen {endpoint:endpoint6}",
         "Serve metrics to Prometheus over HTTPS, with the API's certificates and roles",
         {{"metrics", "Metrics for Prometheus"}, {"listen", "TCP endpoint"}, {"endpoint", "[ADDRESS]:PORT"}},
         {"endpoint"},
         {},
         "not served"},
        {"",
         "metrics listen {endpoint:endpoint6} plain",
         "Serve metrics over HTTP to whoever reaches the endpoint: on ::1 or a management network",
         {{"metrics", "Metrics for Prometheus"},
          {"listen", "TCP endpoint"},
          {"endpoint", "[ADDRESS]:PORT"},
          {"plain", "Without TLS and without asking who scrapes"}},
         {"endpoint"}},
    };
}

MetricsSettings read_metrics_settings(const ConfigNode& root) {
    MetricsSettings out;
    for (const auto* entry : root.all(kListen)) out.listen.push_back({entry->arg("endpoint"), false});
    for (const auto* entry : root.all(kListenPlain)) out.listen.push_back({entry->arg("endpoint"), true});
    return out;
}

std::vector<Diagnostic> validate_metrics(const ConfigNode& root) {
    std::vector<Diagnostic> findings;
    const bool has_files = root.has("api certificate") && root.has("api private-key") && root.has("api client-ca");
    const auto check = [&](const ConfigEntry& entry) {
        if (entry.endpoint("endpoint").address().is_unspecified()) {
            findings.push_back(error_at(entry, "[::] would serve every network; name an address of this host"));
        }
    };
    const auto secured = root.all(kListen);
    for (const auto* entry : secured) {
        check(*entry);
        if (has_files) continue;
        findings.push_back(error_at(
            *entry,
            "needs \"api certificate\", \"api private-key\" and \"api client-ca\"; or say \"plain\" for HTTP on a "
            "management address"));
    }
    for (const auto* entry : root.all(kListenPlain)) {
        check(*entry);
        const bool both = std::any_of(secured.begin(), secured.end(),
                                      [&](const auto* one) { return one->arg("endpoint") == entry->arg("endpoint"); });
        if (both) {
            findings.push_back(error_at(
                *entry, fmt::format("{} is served over HTTPS already; remove one of them", entry->arg("endpoint"))));
        }
    }
    return findings;
}

}  // namespace nett
