// What a provision job remembers: kept as JSON in Job::progress, committed before every change that is asked of a BMC.
//
// Whatever is in here must be enough to go on after a crash at any point: the step, whether its change may have been
// sent, the URIs that were found, and what was there before. Passwords and tokens are never part of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett::redfish {

// Job::state by name. What follows what is the job type's plan (job_machine.cpp); the last four end it.
enum class Step {
    kQueued,
    kProbe,
    kPowerOff,
    kEject,
    kInsert,
    kOverride,
    kVerify,
    kPowerOn,
    kReset,
    kClear,
    kRecord,
    kBootWait,
    kCleanup,
    kDone,
    kFailed,
    kCancelled,
    kNeedsOperator,  // waits for a person: the machine's late boot or a cancellation still moves it
};
std::string_view to_string(Step step);
Result<Step> parse_step(std::string_view text);
// DONE, FAILED, CANCELLED: nothing moves it any more.
bool is_final(Step step);
// Final, or NEEDS_OPERATOR.
bool is_at_rest(Step step);

struct MediaSlot {
    std::string uri;
    std::string insert_target;  // empty: PATCH the resource instead
    std::string eject_target;
    friend bool operator==(const MediaSlot&, const MediaSlot&) = default;
};

struct StepTime {
    Step step = Step::kQueued;
    SystemTime since{};
    friend bool operator==(const StepTime&, const StepTime&) = default;
};

struct Progress {
    Step step = Step::kQueued;
    SystemTime step_since{};
    Step rested_in = Step::kQueued;  // NEEDS_OPERATOR: the step that could not go on
    Step outcome = Step::kDone;      // where CLEANUP leads
    std::string message;             // cause and remedy
    std::string profile = "generic";
    // The image's URL, sealed (context "job/<id>/image"): it carries the token that lets the BMC fetch it.
    std::string sealed_image;
    std::string image_scheme;  // "http" or "https": which of the goal's URLs this BMC takes

    // Found by PROBE.
    std::string system;
    std::string settings;  // the settings object; empty: none
    std::string reset_target;
    std::vector<std::string> reset_types;  // allowable; empty: not said
    std::vector<MediaSlot> slots;          // best first
    std::string boot_target = "Cd";
    bool has_mode = false;    // BootSourceOverrideMode is sent
    bool http_boot = false;   // no virtual media: the firmware fetches the image by itself (UefiHttp)
    std::string server_boot;  // Dell's attributes of the manager, which take the override; empty: Boot does
    std::string last_reset;   // ComputerSystem.LastResetTime before the changes; empty: not told

    // Where on the ladders of alternatives this BMC was found to be.
    std::size_t slot = 0;
    std::size_t rung = 0;       // of Profile::insert_ladder
    int etag_rung = 0;          // 0 as given, 1 without W/, 2 none
    bool use_settings = false;  // PATCH Boot there instead of on the system
    int boot_places = 0;        // how often another place for Boot was tried
    int clear_rung = 0;         // 0: Enabled "Disabled" alone, 1: with Target "None"
    int conflicts = 0;          // power ons that were refused with 409

    // The change of this step: attempt > 0 says that it was committed, and may or may not have been sent.
    int attempt = 0;
    SystemTime intent_at{};
    std::string task;  // of the last 202
    int rounds = 0;    // how often VERIFY went back

    // Before the changes.
    std::string power_before;
    std::uint64_t boots_before = 0;
    bool booted = false;  // the machine asked for its boot script
    SystemTime powered_on_at{};

    std::string result;         // what inventory and check found: JSON text of an object; empty: nothing
    std::string session;        // URI of a session that may have been left behind on the BMC
    std::string last_request;   // "POST /redfish/…", redacted
    std::string last_response;  // "204", or the status and what it said, redacted
    std::vector<StepTime> history;

    friend bool operator==(const Progress&, const Progress&) = default;
};

std::string encode_progress(const Progress& progress);
// kDataLoss when the text is not what encode_progress() makes. An empty text is a job that nobody has touched.
Result<Progress> decode_progress(std::string_view text);

}  // namespace nett::redfish
