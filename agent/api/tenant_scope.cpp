#include "agent/api/tenant_scope.hpp"

#include <algorithm>

namespace nett {

namespace {

bool same_ports(const std::vector<PortBinding>& a, const std::vector<PortBinding>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return x.port == y.port && x.prefix == y.prefix; });
}

}  // namespace

Result<void> check_own_machine(const Inventory& inventory, const Caller& caller, const std::string& name) {
    if (caller.scope == Scope::kAgent) return {};
    const auto machine = inventory.machine(name);
    if (!machine) return fail(machine.error());
    return check_own(caller, machine->value.tenant, fmt::format("machine \"{}\"; see \"show machines\"", name));
}

bool may_see_job(const Inventory& inventory, const Caller& caller, const Job& job) {
    if (caller.scope == Scope::kAgent) return true;
    const auto machine = inventory.machine(job.machine);
    return machine && may_see(caller, machine->value.tenant);
}

Result<void> check_own_job(const Inventory& inventory, const Caller& caller, const std::string& id) {
    if (caller.scope == Scope::kAgent) return {};
    const auto job = inventory.job(id);
    if (!job) return fail(job.error());
    if (may_see_job(inventory, caller, job->value)) return {};
    return fail(Code::kNotFound, "no job \"{}\"; see \"show jobs\"", id);
}

Result<void> check_own_registration(const Inventory& inventory, const Caller& caller, Machine& machine) {
    if (caller.scope == Scope::kAgent) return {};
    if (!may_see(caller, machine.tenant)) {
        return fail(Code::kPermissionDenied, "{} registers machines of its own tenant only", role_text(caller));
    }
    const auto old = inventory.machine(machine.name);
    if (!old && old.error().code != Code::kNotFound) return fail(old.error());
    if (old && !may_see(caller, old->value.tenant)) {
        return fail(Code::kAlreadyExists, "the name \"{}\" is taken; choose another", machine.name);
    }
    const Machine kept = old ? old->value : Machine{};
    const bool bmc_differs = !machine.bmc.empty() && machine.bmc != kept.bmc;
    const bool ports_differ = !machine.ports.empty() && !same_ports(machine.ports, kept.ports);
    if (bmc_differs || ports_differ) {
        return fail(Code::kPermissionDenied, "a machine's {} is set by an operator, not by its tenant",
                    bmc_differs ? "BMC" : "ports");
    }
    machine.bmc = kept.bmc;
    machine.ports = kept.ports;
    // Prefixes are the fabric's: a tenant's machine keeps what an operator, a rule or a pool gave it.
    machine.production = kept.production;
    return {};
}

}  // namespace nett
