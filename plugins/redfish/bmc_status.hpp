// What jobs learnt about a BMC: a record of its own beside the registration, so that neither overwrites the other.
#pragma once

#include <string>
#include <string_view>

#include "agent/sdk/model.hpp"
#include "agent/sdk/store.hpp"

namespace nett::redfish {

// Key: the BMC's name. The shell shows it with the registration ("show bmc").
inline constexpr std::string_view kBmcStatusKind = "bmc-status";

struct BmcStatus {
    std::string profile;        // in use at the last job
    std::string site;           // likewise
    std::string state;          // "ok", or why the last job could not go on
    std::string last_job;       // id
    std::string model;          // "manufacturer model", from inventory and check
    std::string firmware;       // of the BMC
    std::string refused_login;  // login_digest() that the BMC has refused: not tried again; empty: none
    SystemTime seen{};          // end of the last job
};

std::string encode(const BmcStatus& status);
// An absent or unreadable record is an empty status.
BmcStatus read_bmc_status(const Store& store, const std::string& bmc);
// Tells one registration of endpoint, user and password from another, and nothing else.
std::string login_digest(const Bmc& bmc);

}  // namespace nett::redfish
