#include "plugins/redfish/places.hpp"

#include "plugins/redfish/job_record.hpp"
#include "plugins/redfish/origin.hpp"

namespace nett::redfish {

Place find_place(const Store& store, const RunnerSettings& settings, const std::string& machine) {
    Place place;
    const auto record = load<Machine>(store, kMachineKind, machine);
    if (!record || record->bmc.empty()) return place;
    place.bmc = record->bmc;
    const auto bmc = load<Bmc>(store, kBmcKind, record->bmc);
    if (!bmc) return place;
    // Two records, or two spellings, of one endpoint are one BMC.
    const auto origin = Origin::parse(bmc->endpoint);
    place.endpoint = origin ? origin->host_header() : bmc->endpoint;
    place.system = place.endpoint + bmc->system_path;
    place.site = settings.of(bmc->name).site;
    return place;
}

bool Places::may_run(const Place& place, bool owns_system, const RunnerSettings& settings) const {
    if (full(settings)) return false;
    if (place.endpoint.empty()) return true;  // it will end with what is missing
    if (busy_endpoints_.contains(place.endpoint)) return false;
    if (!owns_system && owned_systems_.contains(place.system)) return false;
    const auto limit = settings.sites.find(place.site);
    const auto used = site_places_.find(place.site);
    return limit == settings.sites.end() || used == site_places_.end() || used->second < limit->second;
}

void Places::occupy(const Place& place) {
    ++places_;
    ++site_places_[place.site];
    if (!place.endpoint.empty()) busy_endpoints_.insert(place.endpoint);
}

void Places::vacate(const Place& place) {
    --places_;
    --site_places_[place.site];
    busy_endpoints_.erase(place.endpoint);
}

void Places::own_system(const Place& place) {
    if (!place.system.empty()) owned_systems_.insert(place.system);
}

void Places::disown_system(const Place& place) {
    owned_systems_.erase(place.system);
}

}  // namespace nett::redfish
