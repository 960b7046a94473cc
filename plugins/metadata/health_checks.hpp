// What `metadata` says of itself to the health registry. All its conditions are local: where one fails, another server
// does better, and bgp-anycast may withdraw this one's address.
#pragma once

#include <vector>

#include "agent/sdk/plugin.hpp"
#include "plugins/metadata/artifacts.hpp"
#include "plugins/metadata/server.hpp"

namespace nett::metadata {

// Pure. Failed when expired or not valid yet, degraded in the last kCertificateWarning.
HealthCondition certificate_condition(const CertificateInfo& certificate, SystemTime now);
// `trouble` is Server::trouble(); `hung`: the io threads did not run anything for a whole kHealthInterval.
HealthCondition listener_condition(const std::string& trouble, bool hung);

// Loop thread. Reports metadata/{listener,certificate,state,artifacts}.
void report_health(const Host& host, const Server& server, const Artifacts& artifacts, bool hung);

}  // namespace nett::metadata
