// What `metadata` says of itself to the health registry. All conditions but certificate-files are local: where one
// fails, another server does better, and bgp-anycast may withdraw this one's address.
#pragma once

#include <vector>

#include "agent/sdk/plugin.hpp"
#include "plugins/metadata/artifacts.hpp"
#include "plugins/metadata/server.hpp"
#include "plugins/metadata/tls_keeper.hpp"

namespace nett::metadata {

// Pure. Failed when expired or not valid yet, degraded in the last kCertificateWarning.
HealthCondition certificate_condition(const CertificateInfo& certificate, SystemTime now);
// `trouble` is Server::trouble(); `hung`: the io threads did not run anything for a whole kHealthInterval.
HealthCondition listener_condition(const std::string& trouble, bool hung);

// Of what client certificates are checked with: failed when nobody could be let in (each CA expired, or a revocation
// list overdue), degraded when that is near. Pure.
HealthCondition client_trust_condition(const TlsContext& tls, SystemTime now);
// Degraded while changed files are refused; without effect on the announcement, for the old ones work. Pure.
HealthCondition certificate_files_condition(const TlsReloads& reloads);

// Loop thread. Reports metadata/{client-trust,certificate-files}.
void report_tls_health(const Host& host, const TlsContext& tls, const TlsReloads& reloads);
// Of the listener where Talos redeems boot tokens; "off" without one. Pure.
HealthCondition token_listener_condition(bool configured, const std::string& trouble);
// Loop thread. Reports metadata/{listener,certificate,state,artifacts}.
void report_health(const Host& host, const Server& server, const Artifacts& artifacts, bool hung);

}  // namespace nett::metadata
