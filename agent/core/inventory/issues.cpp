#include "agent/core/inventory/issues.hpp"

#include <fmt/chrono.h>

#include "agent/sdk/lifecycle.hpp"

namespace nett {

namespace {

using Issues = std::vector<MachineIssue>;

std::string since(SystemTime then, SystemTime now) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(now - then).count();
    if (minutes < 120) return fmt::format("{} minutes", minutes);
    return minutes < 48 * 60 ? fmt::format("{} hours", minutes / 60) : fmt::format("{} days", minutes / (24 * 60));
}

// Its state, were it neither held nor locked.
bool wants_netboot(const Machine& machine) {
    return machine.state != MachineState::kActive;
}

void look_at_orders(const IssueFacts& facts, Issues& out) {
    const auto& machine = facts.machine.value;
    if (!machine.hold.reason.empty()) {
        out.push_back({"held", fmt::format("it is held: {}; it boots its disk", machine.hold.reason),
                       fmt::format("see to the cause, then \"machine {} release\"", machine.name)});
    }
    if (machine.locked && wants_netboot(machine)) {
        out.push_back({"locked",
                       fmt::format("it is locked, so it boots its disk although it is {}", to_string(machine.state)),
                       fmt::format("\"machine {} unlock\"", machine.name)});
    }
    if (!facts.job) return;
    const auto& job = *facts.job;
    if (job.state == "NEEDS_OPERATOR" && !job.acknowledged) {
        out.push_back({"job-needs-operator", fmt::format("its job {} waits for an operator: {}", job.id, job.message),
                       fmt::format("do what it says, then \"job {} acknowledge\"", job.id)});
    } else if (job.state == "FAILED" && wants_netboot(machine)) {
        out.push_back({"job-failed", fmt::format("its job {} failed: {}", job.id, job.message),
                       "see to the cause, then give it the job again (\"machine provision NAME\")"});
    }
}

void look_at_identity(const IssueFacts& facts, Issues& out) {
    const auto& machine = facts.machine.value;
    if (!facts.tenant) {
        out.push_back({"no-tenant", fmt::format("there is no tenant \"{}\"", machine.tenant),
                       fmt::format("\"talos-fabric-builder tenant add {}\"", machine.tenant)});
    } else if (facts.tenant->common_names.empty() && facts.tenant->common_name_suffixes.empty() &&
               facts.tenant->organizational_units.empty()) {
        out.push_back(
            {"tenant-without-certificates",
             fmt::format("no certificate is tenant \"{}\"'s, so none of its machines is known", machine.tenant),
             fmt::format("\"talos-fabric-builder tenant add {} --common-name NAME\"", machine.tenant)});
    }
    if (machine.uuid.empty() && machine.macs.empty()) {
        out.push_back({"no-identity",
                       "neither a UUID nor a MAC address is registered, so no boot request can be its own",
                       fmt::format("\"talos-fabric-builder machine add {} --uuid UUID\"", machine.name)});
    }
    if (facts.stranger) {
        out.push_back(
            {"other-identity",
             fmt::format("a machine with its serial number or MAC address asks as {} and is not known ({} requests)",
                         facts.stranger->id, facts.stranger->requests),
             fmt::format("correct the registration: \"talos-fabric-builder machine add {} --uuid {}\"", machine.name,
                         facts.stranger->id)});
    }
}

void look_at_files(const IssueFacts& facts, Issues& out) {
    const auto& machine = facts.machine.value;
    if (!facts.profile) {
        out.push_back({"no-profile",
                       fmt::format("there is no profile \"{}\" of its tenant, nor of all", machine.profile),
                       "make the profile, or register the machine with another one; see \"show profiles\""});
    }
    if (facts.set_name.empty() && facts.set_needed) {
        out.push_back(
            {"no-artifact-set", "neither the machine nor its profile names an artifact set",
             fmt::format("\"talos-fabric-builder machine add {} --artifact-set NAME\"; see \"show artifacts\"",
                         machine.name)});
    } else if (!facts.set_name.empty() && !facts.set) {
        out.push_back({"unknown-artifact-set", fmt::format("there is no artifact set \"{}\"", facts.set_name),
                       fmt::format("\"talos-fabric-builder artifact import {}\"", facts.set_name)});
    }
    for (const auto& file : facts.missing) {
        out.push_back({"file-missing",
                       fmt::format("{} of artifact set \"{}\" is not on this host's disk", file, facts.set_name),
                       fmt::format("\"talos-fabric-builder artifact import {}\" with the same files", facts.set_name)});
    }
    const auto kind = boot_decision(machine);
    if ((kind == BootKind::kInstall || kind == BootKind::kWipe) && machine.config_sha256.empty()) {
        out.push_back({"no-config", "no machine config is registered: Talos would come up unconfigured",
                       fmt::format("\"talos-fabric-builder machine add {} --config FILE\"", machine.name)});
    }
    const auto& production = machine.production;
    if (production.mode == ProductionMode::kPool && production.prefix.empty() && facts.pool &&
        facts.pool->allocated >= facts.pool->capacity) {
        out.push_back({"pool-exhausted", fmt::format("its prefix pool \"{}\" has nothing left", production.pool),
                       fmt::format("enlarge it (\"pool {} prefix …\") or decommission machines", production.pool)});
    }
}

void look_at_boots(const IssueFacts& facts, Issues& out) {
    const auto& machine = facts.machine.value;
    if (boot_decision(machine) == BootKind::kDisk) return;
    const auto& boots = facts.machine.boots;
    const auto waits = facts.now - machine.state_since;
    const bool booted = boots.boots > 0 && boots.last_boot.time >= machine.state_since;
    if (boots.boots == 0 && waits >= kBootPatience) {
        out.push_back(
            {"never-asked",
             fmt::format("it has never asked for a boot, for {} now", since(machine.state_since, facts.now)),
             "power it on with its tenant's image; then look at \"show ports\" (link, prefix), \"show tls\" (refused "
             "handshakes) and \"show unknown-machines\" (another UUID)"});
    } else if (!booted && waits >= kBootPatience) {
        out.push_back(
            {"silent",
             fmt::format("it is {} for {} and has not asked since; its last boot was from {}", to_string(machine.state),
                         since(machine.state_since, facts.now), boots.last_boot.source),
             fmt::format("reset it, or \"machine provision {}\" when it has a BMC; see \"show ports\"", machine.name)});
    } else if (machine.state == MachineState::kProvisioning && booted && waits >= kBootPatience) {
        out.push_back(
            {"not-confirmed",
             fmt::format("it has booted, and nobody has said for {} that it runs",
                         since(machine.state_since, facts.now)),
             fmt::format("look at its console; \"machine {} state active\" says that it runs", machine.name)});
    }
    if (machine.state == MachineState::kDecommission && machine.erase.fetched != SystemTime{} &&
        machine.erase.reported == SystemTime{} && facts.now - machine.erase.fetched >= kBootPatience) {
        out.push_back({"erase-not-reported",
                       fmt::format("the erase set was served {} ago, and nobody has said that it is done",
                                   since(machine.erase.fetched, facts.now)),
                       fmt::format("look at its console, then \"machine {} erased PROOF\"", machine.name)});
    }
}

}  // namespace

std::vector<MachineIssue> find_issues(const IssueFacts& facts) {
    Issues out;
    look_at_orders(facts, out);
    if (!wants_netboot(facts.machine.value)) return out;
    look_at_identity(facts, out);
    look_at_files(facts, out);
    look_at_boots(facts, out);
    return out;
}

}  // namespace nett
