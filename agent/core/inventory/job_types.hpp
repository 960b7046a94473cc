// What jobs there are and which parameters each takes: one table for the management API and the shell. Who runs them is
// the plugin's matter (redfish).
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett {

struct JobParameter {
    std::string_view name;
    std::span<const std::string_view> choices;  // empty: any line of text
    bool required = false;
};

struct JobType {
    std::string_view name;
    std::string_view help;
    std::span<const JobParameter> parameters;
    bool changes_machine = true;  // refused while the machine is locked
    bool boots_image = false;     // refused while the machine would boot its disk
};

std::span<const JobType> job_types();

// The type and its parameters as they may be stored. kInvalidArgument names what there is instead.
Result<const JobType*> check_job(std::string_view type, const std::map<std::string, std::string>& parameters);

}  // namespace nett
