// Records as a person or a script may see them.
#include <boost/json.hpp>

#include "agent/core/inventory/commands.hpp"
#include "agent/sdk/job_image.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// The members that every record shows; `version` is the record's format.
template <typename T>
json::object shown(const T& stored) {
    auto object = to_json(stored.value).as_object();
    object.stable_erase("version");
    object["revision"] = stored.revision;
    return object;
}

}  // namespace

json::object public_json(const Stored<Tenant>& stored) {
    return shown(stored);
}

json::object public_json(const MachineView& view) {
    auto object = shown(view);
    const auto boots = to_json(view.boots).as_object();
    for (const auto* member : {"boots", "last_boot_time", "last_boot_source", "last_boot_outcome"}) {
        object[member] = boots.at(member);
    }
    object["last_boot_id"] = view.boots.last_boot.boot_id;
    object["held"] = view.value.hold.reason;
    return object;
}

json::object public_json(const Stored<Profile>& stored) {
    return shown(stored);
}

json::object public_json(const PoolView& view) {
    auto object = shown(view);
    object["allocated"] = view.allocated;
    object["capacity"] = view.capacity;
    return object;
}

json::object public_json(const Stored<Allocation>& stored) {
    return shown(stored);
}

json::object public_json(const Stored<UnknownMachine>& stored) {
    return shown(stored);
}

json::object public_json(const Stored<ArtifactSet>& stored) {
    auto object = shown(stored);
    object.stable_erase("set_version");
    object["version"] = stored.value.version;
    return object;
}

json::object public_json(const Stored<Bmc>& stored) {
    auto object = shown(stored);
    object.stable_erase("sealed_password");
    const auto& bmc = stored.value;
    object["trust"] = !bmc.ca_file.empty() ? "CA" : !bmc.pinned_sha256.empty() ? "pinned" : "first use";
    return object;
}

json::object public_json(const Stored<Job>& stored) {
    auto object = shown(stored);
    // The plugin's own JSON, as JSON.
    json::error_code error;
    if (auto progress = json::parse(stored.value.progress, error); !error) object["progress"] = std::move(progress);
    if (auto* progress = object["progress"].if_object()) progress->erase("sealed_image");
    auto& parameters = object["parameters"].as_object();
    if (const auto shown = stored.value.parameters.find(kJobImageShown); shown != stored.value.parameters.end()) {
        parameters.erase(kJobImageShown);
        parameters[kJobImageUrl] = shown->second;
    }
    return object;
}

}  // namespace nett
