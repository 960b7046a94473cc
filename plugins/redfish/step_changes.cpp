// The steps that change something: read, compare, ask, read again.
#include <algorithm>

#include <fmt/format.h>

#include "plugins/redfish/job_steps.hpp"
#include "plugins/redfish/json.hpp"
#include "plugins/redfish/plan.hpp"
#include "plugins/redfish/redact.hpp"

namespace nett::redfish {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kMaxRounds = 3;

bool is_boot_step(Step step) {
    return step == Step::kOverride || step == Step::kClear;
}

constexpr seconds kTaskPoll{2};

void forget_readings(Cursor& cursor) {
    cursor.system.reset();
    cursor.media.reset();
}

// OVERRIDE and CLEAR read where they write; the power state is only in the system itself.
std::optional<Action> read_missing(JobState& state, bool system, bool media) {
    const Progress& progress = state.progress;
    if (system && !state.cursor.system) {
        const bool boot = progress.step == Step::kOverride || progress.step == Step::kClear;
        return read(state, Cursor::Expecting::kSystem, boot ? boot_uri(progress) : progress.system);
    }
    if (media && !state.cursor.media) return read(state, Cursor::Expecting::kMedia, slot_of(progress).uri);
    return std::nullopt;
}

// The change was asked for, and the resource does not show it yet.
bool is_settling(const JobState& state, const JobView& view, const ChangeStep& step) {
    const Profile& profile = profile_named(state.progress.profile);
    const bool short_grace = state.cursor.resumed && step.repeatable;
    const seconds window = short_grace ? std::min(step.window, profile.resume_grace) : step.window;
    return state.progress.attempt > 0 && view.now < state.progress.intent_at + window;
}

Action wait_for_effect(JobState& state, const JobView& view, const ChangeStep& step) {
    forget_readings(state.cursor);
    const milliseconds poll = std::clamp<milliseconds>(step.window / 10, milliseconds(500), milliseconds(3000));
    state.cursor.not_before = view.now + poll;
    return wait_until(state.cursor.not_before);
}

// Reads, and asks for the change until it shows; `done` is true once it does.
std::optional<Action> converge(JobState& state, const JobView& view, const ChangeStep& step, bool& done) {
    Progress& progress = state.progress;
    if (!progress.task.empty()) return read(state, Cursor::Expecting::kTask, progress.task);
    if (auto action = read_missing(state, step.reads_system, step.reads_media)) return action;
    done = step.converged(state);
    if (done) return std::nullopt;
    if (is_settling(state, view, step)) return wait_for_effect(state, view, step);
    if (progress.attempt > 0 && !step.repeatable) {
        rest(state, view, Step::kNeedsOperator,
             fmt::format(
                 "{} was asked for, and the BMC does not show that it happened; it is not asked for twice. Look at "
                 "the machine, then cancel this job, and make a new one if it has to be repeated",
                 to_string(progress.step)));
        return std::nullopt;
    }
    if (progress.attempt >= profile_named(progress.profile).attempts) {
        const std::string& error = state.cursor.last_error;
        give_up(state, view,
                fmt::format("{} was asked for {} times and had no effect{}", to_string(progress.step), progress.attempt,
                            error.empty() ? "" : ": " + error));
        return std::nullopt;
    }
    auto request = step.request(state);
    if (!request) {
        give_up(state, view, request.error().to_string());
        return std::nullopt;
    }
    ++progress.attempt;
    progress.intent_at = view.now;
    state.cursor.resumed = false;
    forget_readings(state.cursor);
    state.cursor.sent_etag = !request->if_match.empty();
    return send(state, Cursor::Expecting::kChange, std::move(*request));
}

// ---- Refusals ----

void next_slot(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    if (progress.slot + 1 >= progress.slots.size()) {
        return give_up(state, view, fmt::format("no virtual media slot takes the image: {}", state.cursor.last_error));
    }
    ++progress.slot;
    progress.rung = 0;
    enter(state, view, Step::kEject);
}

void climb_insert_ladder(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    const std::size_t rungs = profile_named(progress.profile).insert_ladder.size();
    const bool action = !slot_of(progress).insert_target.empty();
    if (!action || progress.rung + 1 >= rungs) return next_slot(state, view);
    ++progress.rung;
    progress.attempt = 0;
}

// The other place, then without the mode, then Dell's attributes.
void climb_override_ladder(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    const Profile& profile = profile_named(progress.profile);
    progress.attempt = 0;
    if (!progress.settings.empty() && progress.boot_places == 0) {
        ++progress.boot_places;
        progress.use_settings = !progress.use_settings;
    } else if (progress.has_mode && !profile.mode_always) {
        progress.has_mode = false;
    } else {
        give_up(state, view, fmt::format("the boot override was refused: {}", state.cursor.last_error));
    }
}

void climb_clear_ladder(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    progress.attempt = 0;
    if (!progress.settings.empty() && progress.boot_places == 0) {
        ++progress.boot_places;
        progress.use_settings = !progress.use_settings;
    } else if (progress.clear_rung == 0) {
        ++progress.clear_rung;
    } else {
        give_up(state, view, fmt::format("clearing the boot override was refused: {}", state.cursor.last_error));
    }
}

// The firmware has not let go of the machine yet: the same again, a few times.
bool waits_for_conflict(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    const Profile& profile = profile_named(progress.profile);
    if (progress.conflicts >= profile.conflict_retries) return false;
    ++progress.conflicts;
    --progress.attempt;
    state.cursor.not_before = view.now + profile.conflict_pause;
    return true;
}

// A 4xx that is neither busy, nor a matter of ETags or rights.
void absorb_refusal(JobState& state, const JobView& view, const Response& answer) {
    const bool about_parameters = answer.status == 400 || answer.status == 405 || answer.status == 415 ||
                                  answer.status == 422 || answer.status == 501;
    switch (state.progress.step) {
        case Step::kInsert:
            if (about_parameters) return climb_insert_ladder(state, view);
            break;
        case Step::kOverride:
            if (about_parameters) return climb_override_ladder(state, view);
            break;
        case Step::kClear:
            if (about_parameters) return climb_clear_ladder(state, view);
            break;
        case Step::kPowerOn:
            if (answer.status == 409 && waits_for_conflict(state, view)) return;
            if (about_parameters || answer.status == 409) return;
            break;
        case Step::kReset:
            break;
        default:
            // 400 and 409 are also how services say that the machine is in the wanted state already, or that a slot is
            // empty.
            if (about_parameters || answer.status == 409) return;
    }
    if (answer.status == 409 && state.progress.step != Step::kReset) return;
    give_up(state, view, state.cursor.last_error);
}

}  // namespace

std::optional<Action> decide_change(JobState& state, const JobView& view) {
    const ChangeStep step = change_of(state.progress);
    bool done = false;
    auto action = converge(state, view, step, done);
    if (done) complete(state, view, state.progress.step);
    return action;
}

std::optional<Action> decide_verify(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    Cursor& cursor = state.cursor;
    const bool has_media = !progress.http_boot;
    if (auto action = read_missing(state, true, has_media)) return action;
    // With a settings object the system shows the override only after the reset; OVERRIDE has read it back there.
    const bool elsewhere = progress.use_settings || !progress.server_boot.empty();
    const bool overridden = elsewhere || is_overridden(state);
    const bool inserted = !has_media || is_inserted(state);
    if (is_off(state) && inserted && overridden) {
        complete(state, view, Step::kVerify);
        return std::nullopt;
    }
    const Step back = !is_off(state) ? Step::kPowerOff : !inserted ? Step::kInsert : Step::kOverride;
    if (++progress.rounds > kMaxRounds) {
        give_up(state, view,
                fmt::format("the BMC does not keep what it accepted: power {}, image {}, override {} {}",
                            redact_text(cursor.system->power_state),
                            cursor.media ? redact_url(cursor.media->image) : "none", cursor.system->boot.enabled,
                            cursor.system->boot.target));
        return std::nullopt;
    }
    enter(state, view, back);
    return std::nullopt;
}

std::optional<Action> decide_cleanup(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    const bool media = cleans_media(state.goal, progress);
    if (media) {
        bool ejected = false;
        if (auto action = converge(state, view, change_of(progress), ejected)) return action;
        if (!ejected) return std::nullopt;
    }
    if (cleans_override(state.goal, progress) && !state.cursor.override_cleared) {
        if (!state.cursor.system) return read(state, Cursor::Expecting::kSystem, boot_uri(progress));
        state.cursor.override_cleared = true;
        if (is_overridden(state)) {
            auto request = clear_override_request(state);
            if (request) return send(state, Cursor::Expecting::kClear, std::move(*request));
        }
    }
    std::string message = progress.message + (media ? "; the image is ejected" : "; the boot override is cleared");
    if (progress.outcome != Step::kDone && state.cursor.system && !state.cursor.system->power_state.empty()) {
        message += fmt::format("; power is {}, it was {}", state.cursor.system->power_state, progress.power_before);
    }
    rest(state, view, progress.outcome, std::move(message));
    return std::nullopt;
}

void absorb_change(JobState& state, const JobView& view, const Reply& reply) {
    Progress& progress = state.progress;
    Cursor& cursor = state.cursor;
    if (reply && is_success(*reply)) {
        cursor.failures = cursor.busy = 0;
        if (reply->status != 202) return;
        auto task = task_of(view.origin, *reply);
        if (!task) return give_up(state, view, task.error().to_string());
        progress.task = std::move(*task);
        return;
    }
    cursor.last_error = describe(reply);
    if (!reply) {
        const Code code = reply.error().code;
        if (code == Code::kPermissionDenied || code == Code::kUnauthenticated) {
            rest(state, view, Step::kNeedsOperator, cursor.last_error);
        }
        return;  // unknown whether it arrived: the next read tells
    }
    if (is_busy(profile_named(progress.profile), *reply, parse_refusal(*reply))) {
        --progress.attempt;
        return pause(state, view, &*reply, cursor.busy);
    }
    if (reply->status == 412 || reply->status == 428) {
        // Without an ETag to give, the middle of the ladder is the same request again.
        const bool had_none = reply->status == 428 && progress.etag_rung < kEtagNone && !cursor.sent_etag;
        if (progress.etag_rung >= kEtagAny) return give_up(state, view, cursor.last_error);
        progress.etag_rung = had_none ? kEtagAny : progress.etag_rung + 1;
        --progress.attempt;
        return;
    }
    if (reply->status == 401 || reply->status == 403) return rest(state, view, Step::kNeedsOperator, cursor.last_error);
    if (reply->status == 501 || reply->status < 500) absorb_refusal(state, view, *reply);
}

void absorb_task(JobState& state, const JobView& view, const Reply& reply) {
    Progress& progress = state.progress;
    if (!reply || reply->status >= 500) {
        absorb_read_failure(state, view, reply, progress.task, false);
        return;
    }
    const TaskView task = parse_task(*reply);
    if (task.phase == TaskPhase::kActive) {
        const seconds poll = std::clamp(reply->retry_after.value_or(kTaskPoll), seconds(1), seconds(30));
        state.cursor.not_before = view.now + poll;
        return;
    }
    state.cursor.failures = 0;
    progress.task.clear();
    if (task.phase == TaskPhase::kFailed) {
        state.cursor.last_error = task.text;
        progress.intent_at = {};  // no use in waiting for an effect: ask again or give up
    } else {
        progress.intent_at = view.now;
    }
}

void absorb_resource(JobState& state, const JobView& view, const Reply& reply) {
    Cursor& cursor = state.cursor;
    const bool system = std::exchange(cursor.expecting, Cursor::Expecting::kNothing) == Cursor::Expecting::kSystem;
    const bool boot = is_boot_step(state.progress.step);
    const std::string what = !system ? slot_of(state.progress).uri
                             : boot  ? boot_uri(state.progress)
                                     : state.progress.system;
    // The settings object that a profile expects may not be there.
    if (system && boot && state.progress.use_settings && reply && reply->status == 404) {
        state.progress.use_settings = false;
        ++state.progress.boot_places;
        return;
    }
    const bool clearing = system && state.progress.step == Step::kCleanup;
    Reply failure = reply;
    if (reply && is_success(*reply)) {
        auto body = parse_object(reply->body);
        auto view_of_system = body && system ? parse_system(view.origin, *body) : Result<SystemView>();
        auto view_of_media = body && !system ? parse_media(view.origin, *body) : Result<MediaView>();
        if (body && view_of_system && view_of_media) {
            cursor.failures = 0;
            // A settings object may be about other things than booting: then the system itself takes the override.
            if (system && state.progress.use_settings && is_boot_step(state.progress.step) &&
                !view_of_system->has_boot) {
                state.progress.use_settings = false;
                ++state.progress.boot_places;
                return;
            }
            if (!reply->etag.empty()) view_of_system->etag = view_of_media->etag = reply->etag;
            if (system) {
                cursor.system = std::move(*view_of_system);
            } else {
                cursor.media = std::move(*view_of_media);
            }
            return;
        }
        failure = fail(!body ? body.error() : !view_of_system ? view_of_system.error() : view_of_media.error());
        if (body) return give_up(state, view, failure.error().to_string());  // an off-origin link
    }
    if (clearing) {
        cursor.system.emplace();  // nothing to clear: the override is a courtesy
        return;
    }
    absorb_read_failure(state, view, failure, what, false);
}

}  // namespace nett::redfish
