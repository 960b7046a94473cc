// Which steps a job takes, and what it leaves behind when it fails: data, looked up by the state machine.
#pragma once

#include <span>
#include <string>

#include "plugins/redfish/job_machine.hpp"

namespace nett::redfish {

// The steps between PROBE and the end. The answer stays the same while the job runs: it depends on what PROBE stored.
std::span<const Step> plan_of(const Goal& goal, const Progress& progress);
// The step after `step` of the plan, DONE after the last one.
Step next_step(const Goal& goal, const Progress& progress, Step step);

// What the job has to know from PROBE before it may change anything.
bool needs_media(const Goal& goal);
bool needs_target(const Goal& goal);
// inventory and check: everything is read, and nothing is missed.
bool is_survey(const Goal& goal);

// What CLEANUP undoes.
bool cleans_media(const Goal& goal, const Progress& progress);
bool cleans_override(const Goal& goal, const Progress& progress);

// "the machine was powered off".
std::string done_message(const Goal& goal, const Progress& progress);

}  // namespace nett::redfish
