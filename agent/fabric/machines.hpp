// The machines of this agent's records, as the fabric sees them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/fabric/port_table.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// What the store says about where machines are.
Result<std::vector<KnownMachine>> known_machines(const Store& store);
// The one whose production prefix this is; nullopt when it is nobody's.
Result<std::optional<KnownMachine>> machine_of_prefix(const Store& store, const Prefix6& prefix);

// Whether a machine's production prefix is announced.
struct MachineCondition {
    std::string state;  // "present", "absent"
    std::string port;   // where it is, or was last
    std::string prefix;
    std::string origin;
    bool expected = true;  // false: on another port than the machine is bound to
    SystemTime since{};
};

// Follows "fabric.prefix" events, and says "machine.fabric" {machine, prefix, port, state: present|absent, origin} when
// a machine's condition changes. A machine with two links is present while one of them announces. Loop thread only.
class MachineConditions {
public:
    // References outlive this.
    MachineConditions(EventBus& events, const Store& store, const FabricView& view);

    // nullopt: not seen since the agent started.
    std::optional<MachineCondition> of(const std::string& machine) const;

private:
    void on_prefix(const Event& event);

    EventBus& events_;
    const Store& store_;
    const FabricView& view_;
    std::map<std::string, MachineCondition, std::less<>> conditions_;
    Subscription subscription_;
};

}  // namespace nett
