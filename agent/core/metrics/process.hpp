// The process' own numbers, by the names that Prometheus' client libraries share: from /proc/self (proc(5)).
#pragma once

#include "agent/sdk/metrics.hpp"

namespace nett {

void put_process_metrics(Metrics& metrics);

}  // namespace nett
