// The operational commands: show ra, show ra interface NAME, show ra drift.
#pragma once

#include <vector>

#include "agent/sdk/plugin.hpp"
#include "plugins/ra/service.hpp"

namespace nett::ra {

Output show_ra(const Service& service);
Result<Output> show_interface(const Host& host, const Service& service, const std::string& name);
Output show_drift(const Service& service);

}  // namespace nett::ra
