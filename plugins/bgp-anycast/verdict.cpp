#include "plugins/bgp-anycast/verdict.hpp"

#include <fmt/format.h>

namespace nett::anycast {

Verdict judge(const std::vector<HealthCondition>& conditions, const std::set<std::string>& required, bool vouched) {
    Verdict verdict;
    std::set<std::string> heard, present;
    std::vector<std::string> failed;
    for (const HealthCondition& condition : conditions) {
        std::string what = fmt::format("{}/{}: {}", condition.component, condition.name, condition.message);
        if (condition.scope == HealthScope::kShared && condition.state == HealthState::kFailed)
            verdict.shared.push_back(what);
        // What fails for all can fail for this server alone at another time: the component is there.
        if (condition.scope != HealthScope::kInfo) present.insert(condition.component);
        if (condition.scope != HealthScope::kLocal) continue;
        if (!required.empty() && !required.contains(condition.component)) continue;
        heard.insert(condition.component);
        if (condition.state == HealthState::kFailed) failed.push_back(what);
    }
    for (const std::string& component : required) {
        if (!present.contains(component)) failed.push_back(fmt::format("{} does not report its health", component));
    }
    verdict.heard = !heard.empty();
    if (!failed.empty()) {
        verdict.reason = fmt::format("{}", fmt::join(failed, "; "));
    } else if (heard.empty() && !vouched) {
        verdict.reason = "no component reports its health";
    } else {
        verdict.healthy = true;
        verdict.reason = heard.empty() ? "no component objects" : fmt::format("{} healthy", fmt::join(heard, ", "));
    }
    return verdict;
}

}  // namespace nett::anycast
