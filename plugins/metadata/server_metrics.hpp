// What the listeners count anyway, told to Prometheus when it asks.
#pragma once

#include <string>

#include "agent/sdk/metrics.hpp"
#include "plugins/metadata/server.hpp"

namespace nett::metadata {

// `listener` is "machines" or "tokens". Loop thread, before a scrape.
void put_server_metrics(Metrics& metrics, const Server& server, const std::string& listener);
// The numbers of the plugin as a whole.
void put_plugin_metrics(Metrics& metrics, const Server& server, std::size_t tenants, std::uint64_t records_dropped);
// The plugin stops: what is a state and not a count is gone.
void forget_plugin_metrics(Metrics& metrics);

}  // namespace nett::metadata
