// Why a machine does not boot as its state wants, and what to do about it: `show machine issues`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/core/inventory/inventory.hpp"
#include "agent/sdk/command.hpp"

namespace nett {

// One cause. `issue` is a stable word for scripts.
struct MachineIssue {
    std::string issue;
    std::string cause;
    std::string remedy;
};

// What is known of a machine and of all that its boot needs.
struct IssueFacts {
    MachineView machine;
    std::optional<Tenant> tenant;
    std::optional<Profile> profile;    // what counts for it; nothing: it names one that is not there
    std::string set_name;              // what it netboots now; empty: none is named, or the plugin's default counts
    bool set_needed = true;            // its state needs one that the machine or its profile names
    std::optional<ArtifactSet> set;    // nothing: there is no set of that name
    std::vector<std::string> missing;  // files of the set that are not on disk
    std::optional<Job> job;            // its newest
    std::optional<UnknownMachine> stranger;  // one that asks in vain and looks like this one
    std::optional<PoolView> pool;            // that its production prefix is to come from
    SystemTime now{};
};

// A machine that was ordered to boot and is silent for this long is worth a look: a server's firmware takes minutes.
inline constexpr std::chrono::minutes kBootPatience{15};

// In the order in which an operator should look at them; empty for a machine that is as it should be. Pure.
std::vector<MachineIssue> find_issues(const IssueFacts& facts);

// Gathers the facts of one machine. Errors are those of the store.
Result<IssueFacts> gather_facts(const Inventory& inventory, const MachineView& machine, SystemTime now);

// `show machine issues` and `show machine NAME issues`; the inventory outlives them.
std::vector<OpCommand> issue_commands(const Inventory& inventory, const Clock& clock);

}  // namespace nett
