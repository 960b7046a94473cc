#include "plugins/metadata/health_checks.hpp"

#include <utility>

#include "plugins/metadata/artifacts.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

HealthCondition condition(std::string name, HealthState state, std::string message, std::string remedy = {}) {
    return {"metadata", std::move(name), HealthScope::kLocal, state, std::move(message), std::move(remedy), {}};
}

HealthCondition state_condition(const Store& store) {
    const auto read = store.list(kTenantKind, "", 1);
    if (read) return condition("state", HealthState::kOk, "readable");
    return condition("state", HealthState::kFailed, read.error().to_string(), "check the state file and its disk");
}

HealthCondition artifacts_condition(const Artifacts& artifacts) {
    const auto missing = artifacts.missing();
    if (missing.lost.empty() && missing.arriving.empty()) return condition("artifacts", HealthState::kOk, "complete");
    if (missing.lost.empty()) {
        // Served all the same, so no reason to withdraw.
        return condition("artifacts", HealthState::kDegraded,
                         fmt::format("{} file(s) come from other servers; first: {}", missing.arriving.size(),
                                     missing.arriving.front()),
                         "see \"show replication\"");
    }
    return condition("artifacts", HealthState::kFailed,
                     fmt::format("{} file(s) missing or damaged; first: {}", missing.lost.size(), missing.lost.front()),
                     "import the artifact set again on this host");
}

}  // namespace

HealthCondition certificate_condition(const CertificateInfo& certificate, SystemTime now) {
    const std::string until = "valid until " + to_rfc3339(certificate.not_after);
    const std::string remedy = "put a new certificate and key in place; they are read at once";
    if (now > certificate.not_after) {
        return condition("certificate", HealthState::kFailed, "expired at " + to_rfc3339(certificate.not_after),
                         remedy);
    }
    if (now < certificate.not_before) {
        return condition("certificate", HealthState::kFailed, "not valid before " + to_rfc3339(certificate.not_before),
                         "check this host's clock");
    }
    const bool soon = certificate.not_after - now < kCertificateWarning;
    return condition("certificate", soon ? HealthState::kDegraded : HealthState::kOk, until, soon ? remedy : "");
}

HealthCondition client_trust_condition(const TlsContext& tls, SystemTime now) {
    const char* const kRemedy = "put renewed files in place; they are read at once";
    std::size_t expired = 0;
    std::string soon;
    for (const auto& one : tls.authorities) {
        if (now > one.not_after) ++expired;
        if (one.not_after - now < kCertificateWarning) {
            soon = fmt::format("client CA {}: valid until {}", one.subject, to_rfc3339(one.not_after));
        }
    }
    if (expired > 0 && expired == tls.authorities.size()) {
        return condition("client-trust", HealthState::kFailed, "every client CA has expired", kRemedy);
    }
    for (const auto& one : tls.revocations) {
        if (one.next == SystemTime{}) continue;
        const auto text = fmt::format("revocation list of {}: successor due {}", one.issuer, to_rfc3339(one.next));
        if (now > one.next) return condition("client-trust", HealthState::kFailed, text, kRemedy);
        if (one.next - now < kRevocationListWarning) soon = text;
    }
    if (!soon.empty()) return condition("client-trust", HealthState::kDegraded, soon, kRemedy);
    return condition("client-trust", HealthState::kOk, fmt::format("{} client CAs", tls.authorities.size()));
}

HealthCondition certificate_files_condition(const TlsReloads& reloads) {
    auto out = condition("certificate-files", HealthState::kOk, "as loaded at " + to_rfc3339(reloads.loaded));
    out.scope = HealthScope::kInfo;
    if (reloads.error.empty()) return out;
    out.state = HealthState::kDegraded;
    out.message = "changed files are refused: " + reloads.error;
    out.remedy = "put a matching, valid pair in place; they are read at once. The old ones are in use";
    return out;
}

void report_tls_health(const Host& host, const TlsContext& tls, const TlsReloads& reloads) {
    host.health.report(client_trust_condition(tls, host.clock.system_now()));
    host.health.report(certificate_files_condition(reloads));
}

HealthCondition listener_condition(const std::string& trouble, bool hung) {
    if (!trouble.empty()) {
        return condition("listener", HealthState::kFailed, trouble,
                         "see \"show metadata\"; is the limit of open files reached?");
    }
    if (hung) return condition("listener", HealthState::kFailed, "the io threads do not answer", "restart the agent");
    return condition("listener", HealthState::kOk, "accepting");
}

HealthCondition token_listener_condition(bool configured, const std::string& trouble) {
    if (!configured) return condition("token-listener", HealthState::kOk, "off");
    if (trouble.empty()) return condition("token-listener", HealthState::kOk, "accepting");
    return condition("token-listener", HealthState::kFailed, trouble,
                     "see \"show metadata\"; is the limit of open files reached?");
}

void report_health(const Host& host, const Server& server, const Artifacts& artifacts, bool hung) {
    host.health.report(listener_condition(server.trouble(), hung));
    host.health.report(certificate_condition(server.tls()->certificate, host.clock.system_now()));
    host.health.report(state_condition(host.store));
    host.health.report(artifacts_condition(artifacts));
}

}  // namespace nett::metadata
