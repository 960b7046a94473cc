// The provision job as a pure state machine: no I/O, no clock, no randomness of its own.
//
//   PROBE → POWER_OFF → EJECT → INSERT → OVERRIDE → VERIFY → POWER_ON → BOOT_WAIT → CLEANUP → DONE | FAILED | CANCELLED
//
// Each step that changes something is a small control loop: read the resource, go on if it is as wanted, else ask for
// the change and read again. A 2xx is never taken for the effect. The whole sequence converges when replayed from any
// point, which is what makes a crash harmless: after one, the step starts over with its read.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "agent/sdk/clock.hpp"
#include "plugins/redfish/http.hpp"
#include "plugins/redfish/origin.hpp"
#include "plugins/redfish/profile.hpp"
#include "plugins/redfish/progress.hpp"
#include "plugins/redfish/resources.hpp"

namespace nett::redfish {

// What surrounds the job at the time of a decision.
struct JobView {
    SystemTime now{};
    Origin origin;
    std::string system_path;          // the system to use; empty: the only one
    std::uint64_t boots = 0;          // Machine::boots
    bool last_boot_refused = false;   // Machine::last_boot: it asked, and was not served
    SystemTime provisioning_since{};  // when the machine entered Provisioning; the epoch when it is in another state
    bool cancel_requested = false;
    double random = 0.5;  // fresh, in [0, 1): jitter
    std::chrono::seconds boot_deadline{1800};
};

// Where PROBE is in its reading list.
enum class ProbeItem { kRoot, kSystems, kSystem, kActionInfo, kManagers, kManager, kMediaCollection, kMedia };
struct ProbeRead {
    ProbeItem item = ProbeItem::kRoot;
    std::string uri;
};

// What is lost in a crash, and need not be kept.
struct Cursor {
    enum class Expecting { kNothing, kProbe, kSystem, kMedia, kTask, kChange, kClear };
    Expecting expecting = Expecting::kNothing;
    std::optional<SystemView> system;  // read in this pass
    std::optional<MediaView> media;
    SystemTime not_before{};  // a pause
    SystemTime deadline{};    // of this step, in this run
    int failures = 0;         // consecutive answers that were no use
    bool resumed = false;     // a change of this step was under way when the previous run ended
    std::string last_error;
    std::deque<ProbeRead> reading;  // PROBE's list
    int reads = 0;
    std::string managers;  // the Managers collection
    bool looked_at_managers = false;
    std::vector<std::pair<std::size_t, MediaSlot>> found;  // rank of the media type, slot
};

struct JobState {
    Progress progress;
    Cursor cursor;
};

// What to do next.
struct Action {
    enum class Kind {
        kSend,   // send `request`, come back with the reply
        kWait,   // come back at `until`, or sooner when the machine's record or the job's cancel flag changed
        kFinish  // the job is at rest
    };
    Kind kind = Kind::kFinish;
    Request request;
    SystemTime until{};
    bool long_wait = false;  // nothing will be asked of the BMC for a while: give its session back
};

struct Decision {
    JobState state;
    Action action;
};

using Reply = Result<Response>;

// The state a run begins with, from what was persisted. `view` lets a job that waits for its operator move on.
JobState resume(Progress progress, const JobView& view);

// One turn: takes in the reply to the last request (nullopt after a wait or at the start), and says what comes next.
// Whoever calls commits state.progress, when it changed, before doing the action.
Decision advance(JobState state, const JobView& view, const std::optional<Reply>& reply);

// Whether a job at rest in NEEDS_OPERATOR should run again.
bool should_wake(const Progress& progress, const JobView& view);

}  // namespace nett::redfish
