// What running jobs occupy: a place among so many in all and in a site, a BMC's endpoint, a system.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "agent/sdk/store.hpp"
#include "plugins/redfish/settings.hpp"

namespace nett::redfish {

// What a job occupies.
struct Place {
    std::string bmc;
    std::string endpoint;  // one request at a time
    std::string system;    // endpoint and path: one job from its beginning to its end
    std::string site;
};

// What is missing in the store is empty in the place.
Place find_place(const Store& store, const RunnerSettings& settings, const std::string& machine);

// Loop thread only.
class Places {
public:
    bool full(const RunnerSettings& settings) const { return places_ >= settings.concurrency; }
    bool may_run(const Place& place, bool owns_system, const RunnerSettings& settings) const;
    void occupy(const Place& place);
    void vacate(const Place& place);
    // From a job's beginning to its end, also while it has no place.
    void own_system(const Place& place);
    void disown_system(const Place& place);

private:
    std::map<std::string, std::size_t> site_places_;  // in use
    std::set<std::string> busy_endpoints_;
    std::set<std::string> owned_systems_;
    std::size_t places_ = 0;
};

}  // namespace nett::redfish
