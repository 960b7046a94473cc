// All types of job as one pure state machine: no I/O, no clock, no randomness of its own.
//
//   provision  PROBE → POWER_OFF → EJECT → INSERT → OVERRIDE → VERIFY → POWER_ON → BOOT_WAIT → CLEANUP
//   power      PROBE → POWER_ON | POWER_OFF | POWER_OFF → POWER_ON | RESET
//   media      PROBE → EJECT → INSERT | EJECT
//   boot       PROBE → OVERRIDE | CLEAR
//   inventory  PROBE → RECORD
//   check      PROBE
//
// and then DONE, FAILED, CANCELLED or NEEDS_OPERATOR; a provision, media or boot job that fails or is cancelled after
// PROBE goes through CLEANUP.
//
// Each step that changes something is a small control loop: read the resource, go on if it is as wanted, else ask for
// the change and read again. A 2xx is never taken for the effect. The whole sequence converges when replayed from any
// point, which is what makes a crash harmless: after one, the step starts over with its read.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "plugins/redfish/http.hpp"
#include "plugins/redfish/origin.hpp"
#include "plugins/redfish/profile.hpp"
#include "plugins/redfish/progress.hpp"
#include "plugins/redfish/resources.hpp"

namespace nett::redfish {

enum class JobType { kProvision, kPower, kMedia, kBoot, kInventory, kCheck };
Result<JobType> parse_job_type(std::string_view text);

// What the job is to bring about.
struct Goal {
    JobType type = JobType::kProvision;
    std::string action;       // power: on, off, cycle, reset; media: insert, eject; boot: set, clear
    std::string boot_target;  // boot set: a BootSourceOverrideTarget; empty: the virtual CD
    bool continuous = false;  // boot set: until it is cleared, not once
    // The image's URL; where both are given, the BMC's profile chooses.
    std::string http_image;
    std::string https_image;
};

// What is registered of the machine, and what its BMC tells.
struct MachineFacts {
    std::string uuid;  // canonical or empty
    std::string serial;
    std::vector<std::string> macs;                // canonical
    std::map<std::string, std::string> hardware;  // manufacturer, model, bios-version, bmc-firmware
    friend bool operator==(const MachineFacts&, const MachineFacts&) = default;
};

// What surrounds the job at the time of a decision.
struct JobView {
    SystemTime now{};
    Origin origin;
    std::string system_path;  // the system to use; empty: the only one
    std::string profile;      // the operator's choice; empty: detected
    MachineFacts registered;
    std::uint64_t boots = 0;          // Machine::boots
    bool last_boot_refused = false;   // Machine::last_boot: it asked, and was not served
    SystemTime provisioning_since{};  // when the machine entered Provisioning; the epoch when it is in another state
    bool cancel_requested = false;
    double random = 0.5;  // fresh, in [0, 1): jitter
    std::chrono::seconds boot_deadline{1800};
};

// Where PROBE is in its reading list.
enum class ProbeItem {
    kRoot,
    kSystems,
    kSystem,
    kActionInfo,
    kManagers,
    kManager,
    kMediaCollection,
    kMedia,
    kEthernet,
    kNic
};
struct ProbeRead {
    ProbeItem item = ProbeItem::kRoot;
    std::string uri;
};

// What is lost in a crash, and need not be kept.
struct Cursor {
    enum class Expecting { kNothing, kProbe, kSystem, kMedia, kTask, kChange, kClear, kRecord };
    Expecting expecting = Expecting::kNothing;
    std::optional<SystemView> system;  // read in this pass
    std::optional<MediaView> media;
    SystemTime not_before{};        // a pause
    SystemTime deadline{};          // of this step, in this run
    int failures = 0;               // consecutive answers that were no use
    int busy = 0;                   // consecutive changes that the BMC put off
    bool override_cleared = false;  // CLEANUP has asked for it
    bool sent_etag = false;         // of the last change
    bool resumed = false;           // a change of this step was under way when the previous run ended
    std::string last_error;
    std::deque<ProbeRead> reading;  // PROBE's list
    int reads = 0;
    std::string managers;  // the Managers collection
    bool looked_at_managers = false;
    std::vector<std::pair<std::size_t, MediaSlot>> found;  // rank of the media type, slot
    std::string vendor;                                    // words that tell the profile
    std::set<std::string> managers_read;
    MachineFacts facts;
};

struct JobState {
    Goal goal;
    Progress progress;
    Cursor cursor;

    // The image's URL of the scheme that this BMC takes.
    const std::string& image() const { return progress.image_scheme == "https" ? goal.https_image : goal.http_image; }
};

// What to do next.
struct Action {
    enum class Kind {
        kSend,    // send `request`, come back with the reply
        kWait,    // come back at `until`, or sooner when the machine's record or the job's cancel flag changed
        kRecord,  // write `facts` where the machine's record has nothing, come back with 200 or the error
        kFinish   // the job is at rest
    };
    Kind kind = Kind::kFinish;
    Request request;
    MachineFacts facts;
    SystemTime until{};
    bool long_wait = false;  // nothing will be asked of the BMC for a while: give its session back
};

struct Decision {
    JobState state;
    Action action;
};

using Reply = Result<Response>;

// The state a run begins with, from what was persisted. `view` lets a job that waits for its operator move on.
JobState resume(Goal goal, Progress progress, const JobView& view);

// One turn: takes in the reply to the last request (nullopt after a wait or at the start), and says what comes next.
// Whoever calls commits state.progress, when it changed, before doing the action.
Decision advance(JobState state, const JobView& view, const std::optional<Reply>& reply);

// Whether a job at rest in NEEDS_OPERATOR should run again.
bool should_wake(const Progress& progress, const JobView& view);

}  // namespace nett::redfish
