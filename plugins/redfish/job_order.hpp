// From a job's record to what its run starts with.
#pragma once

#include <vector>

#include "plugins/redfish/job_run.hpp"
#include "plugins/redfish/settings.hpp"

namespace nett::redfish {

// Errors say what is missing or refused, and what to do: machine, BMC, its address, its credentials, the image.
Result<JobOrder> make_order(const Services& services, const RunnerSettings& settings, const Job& job);

// Grants come before the URLs that they are for are used, and go with the job.
Awaitable<Result<void>> store_grants(Store& store, std::vector<MediaGrant> grants);

}  // namespace nett::redfish
