// The plugin's settings, as its node of the configuration says them.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "agent/sdk/address.hpp"
#include "plugins/redfish/image.hpp"

namespace nett::redfish {

// What an operator says of one BMC beyond its registration.
struct BmcSettings {
    std::string site;     // its jobs share this site's limit; empty: none
    std::string profile;  // empty: found out
};

struct RunnerSettings {
    std::size_t concurrency = 32;
    std::vector<Prefix6> allowed;  // where BMCs may be; empty: nowhere
    ImageSettings image;
    std::chrono::seconds boot_deadline{1800};
    std::map<std::string, BmcSettings> bmcs = {};   // by name
    std::map<std::string, std::size_t> sites = {};  // limits of sites; one that is not here has only the common limit

    BmcSettings of(const std::string& bmc) const {
        const auto found = bmcs.find(bmc);
        return found == bmcs.end() ? BmcSettings{} : found->second;
    }
};

}  // namespace nett::redfish
