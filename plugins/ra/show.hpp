// The operational commands: show ra, show ra interface NAME, show ra drift, show ra frr-config.
#pragma once

#include <vector>

#include "agent/sdk/plugin.hpp"
#include "plugins/ra/service.hpp"

namespace nett::ra {

Output show_ra(const Service& service);
Result<Output> show_interface(const Host& host, const Service& service, const std::string& name);
Output show_drift(const Service& service);
// What /etc/frr/frr.conf needs so that BGP announces the aggregate and nothing else.
Output show_frr_config(const Service& service);

}  // namespace nett::ra
