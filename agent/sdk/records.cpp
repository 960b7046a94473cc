#include "agent/sdk/records.hpp"

namespace nett {

Result<Profile> effective_profile(const Store& store, const Machine& machine) {
    if (machine.profile.empty()) return Profile{};
    for (const auto& tenant : {machine.tenant, std::string()}) {
        auto found = read_record<Profile>(store, kProfileKind, profile_key(tenant, machine.profile));
        if (!found) return fail(std::move(found.error()));
        if (*found) return std::move((*found)->value);
    }
    return fail(Code::kFailedPrecondition,
                "machine \"{}\" has profile \"{}\", which is not there; see \"show profiles\"", machine.name,
                machine.profile);
}

}  // namespace nett
