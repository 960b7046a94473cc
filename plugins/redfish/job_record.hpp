// What becomes of a job in the store: its end, and what it leaves for the next one.
#pragma once

#include <string>
#include <string_view>

#include "plugins/redfish/job_run.hpp"
#include "plugins/redfish/settings.hpp"

namespace nett::redfish {

// decode() of a record that must be there.
template <typename T>
Result<T> load(const Store& store, std::string_view kind, const std::string& key) {
    auto record = store.get(kind, key);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return fail(Code::kNotFound, "there is no {} \"{}\"", kind, key);
    return decode<T>((*record)->value);
}

// What became of the BMC, for the next job and for people; a job that has ended gives its grants back.
Awaitable<Result<void>> remember_bmc(const Services& services, const RunnerSettings& settings, const JobRun& run);

// Ends a job that has no run: record and event.
Awaitable<Result<void>> conclude(const Services& services, std::string key, Step step, std::string message);

}  // namespace nett::redfish
