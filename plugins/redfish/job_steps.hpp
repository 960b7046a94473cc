// The parts of the state machine, for its own .cpp files only.
#pragma once

#include <optional>
#include <string>

#include "plugins/redfish/job_machine.hpp"

namespace nett::redfish {

// ---- Transitions (job_machine.cpp) ----

void enter(JobState& state, const JobView& view, Step step);
// Ends the run in DONE, FAILED, CANCELLED or NEEDS_OPERATOR.
void rest(JobState& state, const JobView& view, Step step, std::string message);
// The step cannot be done: clean up and fail, or fail at once where nothing was changed.
void give_up(JobState& state, const JobView& view, std::string message);
// The step did what it is for: on to the next one of the plan, or DONE.
void complete(JobState& state, const JobView& view, Step step);
// Nothing before the back-off is over, or before what Retry-After asks for.
// `failures` counts those in a row, of one kind.
void pause(JobState& state, const JobView& view, const Response* answer, int& failures);

// ---- Requests ----

Action send(JobState& state, Cursor::Expecting expecting, Request request);
Action read(JobState& state, Cursor::Expecting expecting, std::string uri);
Action wait_until(SystemTime until);

// ---- Answers ----

inline bool is_success(const Response& answer) {
    return answer.status >= 200 && answer.status < 300;
}
bool is_busy(const Profile& profile, const Response& answer, const Refusal& refusal);
// "503 the service is busy", redacted.
std::string describe(const Reply& reply);

// A read that gave nothing: pauses, or gives up when it never will. `optional_read`: true says that the job can go on
// without it.
enum class ReadFailure { kHandled, kSkip };
ReadFailure absorb_read_failure(JobState& state, const JobView& view, const Reply& reply, const std::string& what,
                                bool optional_read);

// ---- PROBE (step_probe.cpp) ----

void begin_probe(JobState& state);
std::optional<Action> decide_probe(JobState& state, const JobView& view);
void absorb_probe(JobState& state, const JobView& view, const Reply& reply);

// ---- What the steps want, and how they ask for it (step_requests.cpp) ----

// One step's control loop as data. The functions need the readings that the flags name.
struct ChangeStep {
    bool reads_system = false;
    bool reads_media = false;
    // False: never asked for twice, because nothing tells whether the first one worked.
    bool repeatable = true;
    std::chrono::seconds window{10};
    bool (*converged)(const JobState&) = nullptr;
    Result<Request> (*request)(const JobState&) = nullptr;
};

// Of POWER_OFF, EJECT, INSERT, OVERRIDE, POWER_ON, RESET, CLEAR, and of CLEANUP's eject.
ChangeStep change_of(const Progress& progress);
bool is_off(const JobState& state);
bool is_inserted(const JobState& state);
// Armed for the next boot, to the target that PROBE chose.
bool is_overridden(const JobState& state);
bool is_cleared(const JobState& state);
Result<Request> clear_override_request(const JobState& state);
const MediaSlot& slot_of(const Progress& progress);
// Where the boot override is written, and read back.
const std::string& boot_uri(const Progress& progress);
// Rungs of Progress::etag_rung.
inline constexpr int kEtagNone = 2;
inline constexpr int kEtagAny = 3;

// ---- What the BMC tells of the machine (step_survey.cpp) ----

// Chooses slot, target and URL from what PROBE has read, and ends PROBE.
void conclude_probe(JobState& state, const JobView& view);
std::optional<Action> decide_record(JobState& state, const JobView& view);
void absorb_record(JobState& state, const JobView& view, const Reply& reply);

// ---- Steps that change something (step_changes.cpp) ----

std::optional<Action> decide_change(JobState& state, const JobView& view);
std::optional<Action> decide_verify(JobState& state, const JobView& view);
std::optional<Action> decide_cleanup(JobState& state, const JobView& view);
void absorb_change(JobState& state, const JobView& view, const Reply& reply);
void absorb_task(JobState& state, const JobView& view, const Reply& reply);
void absorb_resource(JobState& state, const JobView& view, const Reply& reply);

}  // namespace nett::redfish
