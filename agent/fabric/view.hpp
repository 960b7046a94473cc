// What all switches report: the ports' prefixes, as events and for `show`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/fabric/prefix.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"

namespace nett {

// A switch reports at least every kReportInterval; after three and a half of them it is called silent.
inline constexpr std::chrono::seconds kReportInterval{10};
inline constexpr std::chrono::seconds kSilentAfter{35};

// One switch as this agent knows it.
struct FabricOrigin {
    std::string name;                           // the certificate's name, or this host's own
    std::map<PortPrefix, SystemTime> prefixes;  // since when each is known here
    SystemTime heard{};
    bool own = false;  // this host's own ports: never silent
    bool silent = false;
};

// Loop thread only. What a silent switch said last keeps standing: that nobody tells is not that a machine is gone.
//
// Each difference is an event "fabric.prefix" {prefix, port, next_hop, state: up|down, origin}: `origin` is who said
// it.
class FabricView {
public:
    FabricView(EventBus& events, HealthRegistry& health, const Clock& clock)
        : events_(events), health_(health), clock_(clock) {}

    // Everything that `origin` sees now.
    void replace(const std::string& origin, std::vector<PortPrefix> prefixes, bool own = false);
    // `origin` has said that nothing changed.
    void heard(const std::string& origin);
    // Looks for silent origins; to be called every few seconds.
    void check();

    const std::map<std::string, FabricOrigin>& origins() const { return origins_; }

private:
    void publish(const FabricOrigin& origin, const PortPrefix& prefix, bool up);
    void mark(FabricOrigin& origin, bool silent);

    EventBus& events_;
    HealthRegistry& health_;
    const Clock& clock_;
    std::map<std::string, FabricOrigin> origins_;
};

}  // namespace nett
