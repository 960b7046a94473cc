// Starts machines through their BMCs, by the agent's jobs, and follows these until the machines have been rebooted.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "builder/server.hpp"

namespace nett::builder {

struct Provisioning {
    enum class State { kRebooted, kNotNeeded, kFailed };
    State state = State::kNotNeeded;
    std::string job;      // its id, when there is one
    std::string message;  // why nothing was needed, or what went wrong and the remedy
};

// Each of the machines that has not been booted yet (state new) gets a job, unless one runs already: then that one is
// followed. Others are left alone. `tell` is called with how many of them are done, and what one of them does now.
// Returns when every job has come so far that the machine boots its image, or has ended, or after `deadline`.
using TellJobs = std::function<void(std::size_t done, const std::string& what)>;
std::map<std::string, Provisioning> provision(Server& server, const std::vector<std::string>& machines,
                                              const std::string& reason, std::chrono::seconds deadline,
                                              const TellJobs& tell);

}  // namespace nett::builder
