// The health registry: every module says how its conditions are; bgp-anycast and `show health` read them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/subscription.hpp"

namespace nett {

enum class HealthState { kOk, kDegraded, kFailed };

// Local: another server would do better (listener dead, certificate expired) → withdraw the anycast address.
// Shared: every server has the same trouble → de-prefer only. Info: shown, and without effect on the announcement.
enum class HealthScope { kInfo, kLocal, kShared };

struct HealthCondition {
    std::string component;  // "metadata"
    std::string name;       // "listener"
    HealthScope scope = HealthScope::kInfo;
    HealthState state = HealthState::kOk;
    std::string message;  // what is the matter
    std::string remedy;   // what an operator can do
    SystemTime since{};   // set by the registry when the state changed
};

std::string_view to_string(HealthState state);
std::string_view to_string(HealthScope scope);

// Loop thread only, except report(), which is thread-safe.
class HealthRegistry {
public:
    virtual ~HealthRegistry() = default;
    // Sets the condition component/name; observers are told, on the loop thread, when its state changed.
    virtual void report(HealthCondition condition) = 0;
    // Forgets all conditions of a component (a plugin that stopped).
    virtual void forget(std::string component) = 0;
    virtual std::vector<HealthCondition> conditions() const = 0;
    [[nodiscard]] virtual Subscription observe(std::function<void(const HealthCondition&)> observer) = 0;
};

}  // namespace nett
