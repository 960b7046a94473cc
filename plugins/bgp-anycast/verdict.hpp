// What the health registry says about this server. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/sdk/health.hpp"

namespace nett::anycast {

struct Verdict {
    bool healthy = false;             // of scope local
    bool heard = false;               // a component speaks of it; else only configured checks do
    std::string reason;               // why not, or what is well
    std::vector<std::string> shared;  // troubles that every server has: they make less preferred and never withdraw
};

// `required` empty: every component that reports local conditions. With `vouched` somebody else speaks for this server
// (a configured check), so that silence of the registry is no fault; else a server that nothing vouches for is not
// healthy. Only kFailed counts: a degraded service is better than none.
Verdict judge(const std::vector<HealthCondition>& conditions, const std::set<std::string>& required, bool vouched);

}  // namespace nett::anycast
