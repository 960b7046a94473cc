#include "plugins/redfish/job_machine.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plugins/redfish/job_steps.hpp"
#include "plugins/redfish/plan.hpp"
#include "plugins/redfish/redact.hpp"

namespace nett::redfish {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMaxHistory = 64;
constexpr int kMaxUselessReads = 6;  // in a row, of a kind that seldom gets better by itself: 404, no JSON, too large
// A turn without I/O changes the step at most a few times; more is a bug that must not hang the agent.
constexpr int kMaxTransitionsPerTurn = 16;

// How long a step may take in one run of the agent, all its attempts included.
seconds limit_of(Step step, const JobView& view) {
    switch (step) {
        case Step::kProbe:
            return seconds(300);
        case Step::kPowerOff:
            return seconds(180);
        case Step::kEject:
            return seconds(120);
        case Step::kInsert:
            return seconds(300);
        case Step::kOverride:
            return seconds(180);
        case Step::kVerify:
            return seconds(120);
        case Step::kPowerOn:
        case Step::kReset:
            return seconds(330);
        case Step::kClear:
            return seconds(180);
        case Step::kRecord:
            return seconds(120);
        case Step::kBootWait:
            return view.boot_deadline;
        case Step::kCleanup:
            return seconds(180);
        default:
            return seconds(0);
    }
}

bool has_booted(const Progress& progress, const JobView& view) {
    const bool entered_provisioning =
        progress.powered_on_at != SystemTime{} && view.provisioning_since > progress.powered_on_at;
    return view.boots > progress.boots_before || entered_provisioning;
}

// The step that the job is in, or rests in.
Step work_step(const Progress& progress) {
    return is_at_rest(progress.step) ? progress.rested_in : progress.step;
}

// Whether CLEANUP has something to do when the job ends in `in`.
bool leaves_something(const JobState& state, Step in) {
    if (in == Step::kQueued || in == Step::kProbe) return false;
    return cleans_media(state.goal, state.progress) || cleans_override(state.goal, state.progress);
}

void cancel(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    const Step in = work_step(progress);
    if (in == Step::kQueued || in == Step::kProbe) {
        return rest(state, view, Step::kCancelled, "cancelled before anything was changed on the BMC");
    }
    std::string message = fmt::format("cancelled in {}", to_string(in));
    if (!leaves_something(state, in)) return rest(state, view, Step::kCancelled, message + "; what was done stays");
    progress.outcome = Step::kCancelled;
    progress.message = std::move(message);
    enter(state, view, Step::kCleanup);
}

bool is_cancellable(const Progress& progress) {
    return progress.step != Step::kCleanup && progress.task.empty();
}

std::optional<Action> decide_boot_wait(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    // A machine that was deleted and registered again counts from 0.
    progress.boots_before = std::min(progress.boots_before, view.boots);
    if (view.boots > progress.boots_before && view.last_boot_refused) {
        progress.boots_before = view.boots;  // the next one counts
        rest(state, view, Step::kNeedsOperator,
             "the machine asked for its boot script and was refused; the metadata log says why. The image stays "
             "inserted: "
             "once that is mended, power the machine on again, or cancel the job");
        return std::nullopt;
    }
    if (has_booted(progress, view)) {
        progress.outcome = Step::kDone;
        progress.message = "the machine asked for its boot script";
        progress.booted = true;
        enter(state, view, next_step(state.goal, progress, Step::kBootWait));
        return std::nullopt;
    }
    if (view.now < state.cursor.deadline) {
        Action action = wait_until(state.cursor.deadline);
        action.long_wait = true;
        return action;
    }
    rest(state, view, Step::kNeedsOperator,
         fmt::format("no boot request came from the machine within {} s of power on; look at its console, its port's "
                     "prefix and the metadata log. The image stays inserted: a late boot still ends the job, "
                     "cancelling it ejects the "
                     "image",
                     view.boot_deadline.count()));
    return std::nullopt;
}

// The next action, or nullopt after a change of step, which asks for another look.
std::optional<Action> decide(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    if (is_at_rest(progress.step)) return Action{};
    if (view.cancel_requested && is_cancellable(progress)) {
        cancel(state, view);
        return std::nullopt;
    }
    if (progress.step == Step::kQueued) {
        enter(state, view, Step::kProbe);
        return std::nullopt;
    }
    if (progress.step == Step::kBootWait) return decide_boot_wait(state, view);
    if (view.now < state.cursor.not_before) return wait_until(state.cursor.not_before);
    if (view.now >= state.cursor.deadline) {
        const std::string& error = state.cursor.last_error;
        give_up(state, view,
                fmt::format("{} took too long{}", to_string(progress.step), error.empty() ? "" : ": " + error));
        return std::nullopt;
    }
    switch (progress.step) {
        case Step::kProbe:
            return decide_probe(state, view);
        case Step::kVerify:
            return decide_verify(state, view);
        case Step::kCleanup:
            return decide_cleanup(state, view);
        case Step::kRecord:
            return decide_record(state, view);
        default:
            return decide_change(state, view);
    }
}

void absorb(JobState& state, const JobView& view, const Reply& reply) {
    state.progress.last_response = describe(reply);
    const auto expecting = std::exchange(state.cursor.expecting, Cursor::Expecting::kNothing);
    switch (expecting) {
        case Cursor::Expecting::kNothing:
            return;
        case Cursor::Expecting::kClear:
            return;  // asked for as a courtesy; a BMC that refuses boots its disk all the same
        case Cursor::Expecting::kProbe:
            return absorb_probe(state, view, reply);
        case Cursor::Expecting::kRecord:
            return absorb_record(state, view, reply);
        case Cursor::Expecting::kTask:
            return absorb_task(state, view, reply);
        case Cursor::Expecting::kChange:
            return absorb_change(state, view, reply);
        case Cursor::Expecting::kSystem:
        case Cursor::Expecting::kMedia:
            // absorb_resource() looks at which of the two it was.
            state.cursor.expecting = expecting;
            return absorb_resource(state, view, reply);
    }
}

}  // namespace

void enter(JobState& state, const JobView& view, Step step) {
    Progress& progress = state.progress;
    progress.step = step;
    progress.step_since = view.now;
    progress.attempt = 0;
    progress.intent_at = {};
    progress.task.clear();
    if (progress.history.size() < kMaxHistory) progress.history.push_back({step, view.now});
    state.cursor = {};
    state.cursor.deadline = view.now + limit_of(step, view);
    if (step == Step::kProbe) begin_probe(state);
    if (step == Step::kPowerOn) {
        progress.boots_before = view.boots;
        progress.powered_on_at = view.now;
    }
}

void rest(JobState& state, const JobView& view, Step step, std::string message) {
    const Step in = state.progress.step;
    enter(state, view, step);
    state.progress.rested_in = in;
    state.progress.message = std::move(message);
}

void give_up(JobState& state, const JobView& view, std::string message) {
    Progress& progress = state.progress;
    if (progress.step == Step::kCleanup) {
        if (progress.outcome != Step::kDone) {
            return rest(
                state, view, progress.outcome,
                fmt::format("{}; cleaning up failed as well, eject the image by hand: {}", progress.message, message));
        }
        return rest(
            state, view, Step::kNeedsOperator,
            fmt::format("the machine booted, but the image could not be ejected; eject it by hand: {}", message));
    }
    if (!leaves_something(state, progress.step)) return rest(state, view, Step::kFailed, std::move(message));
    progress.outcome = Step::kFailed;
    progress.message = std::move(message);
    enter(state, view, Step::kCleanup);
}

void complete(JobState& state, const JobView& view, Step step) {
    const Step next = next_step(state.goal, state.progress, step);
    if (next == Step::kDone) return rest(state, view, next, done_message(state.goal, state.progress));
    enter(state, view, next);
}

void pause(JobState& state, const JobView& view, const Response* answer, int& failures) {
    constexpr seconds kLongestAsked{120};
    const Profile& profile = profile_named(state.progress.profile);
    ++failures;
    milliseconds delay = std::min<milliseconds>(milliseconds(profile.busy_first) * (1 << std::min(failures - 1, 5)),
                                                profile.busy_longest);
    delay = milliseconds(std::llround(static_cast<double>(delay.count()) * (0.5 + view.random)));
    if (answer != nullptr && answer->retry_after) {
        delay = std::max<milliseconds>(delay, std::min(*answer->retry_after, kLongestAsked));
    }
    state.cursor.not_before = view.now + delay;
}

Action send(JobState& state, Cursor::Expecting expecting, Request request) {
    state.cursor.expecting = expecting;
    state.progress.last_request = fmt::format("{} {}", to_string(request.method), request.target);
    if (!request.body.empty()) state.progress.last_request += " " + redact_json(request.body);
    state.progress.last_response.clear();
    Action action;
    action.kind = Action::Kind::kSend;
    action.request = std::move(request);
    return action;
}

Action read(JobState& state, Cursor::Expecting expecting, std::string uri) {
    Request request;
    request.target = std::move(uri);
    return send(state, expecting, std::move(request));
}

Action wait_until(SystemTime until) {
    Action action;
    action.kind = Action::Kind::kWait;
    action.until = until;
    return action;
}

bool is_busy(const Profile& profile, const Response& answer, const Refusal& refusal) {
    if (answer.status == 503 || answer.status == 429) return true;
    if (answer.status < 400) return false;
    return std::any_of(profile.busy_messages.begin(), profile.busy_messages.end(),
                       [&](std::string_view id) { return refusal.has(id); });
}

std::string describe(const Reply& reply) {
    if (!reply) return redact_text(reply.error().to_string());
    if (is_success(*reply)) return std::to_string(reply->status);
    const std::string text = parse_refusal(*reply).text;
    return fmt::format("{}{}{}", reply->status, text.empty() ? "" : " ", text);
}

ReadFailure absorb_read_failure(JobState& state, const JobView& view, const Reply& reply, const std::string& what,
                                bool optional_read) {
    Cursor& cursor = state.cursor;
    cursor.last_error = fmt::format("{}: {}", what, describe(reply));
    const bool refused = reply && (reply->status == 401 || reply->status == 403);
    const bool untrusted =
        !reply && (reply.error().code == Code::kPermissionDenied || reply.error().code == Code::kUnauthenticated);
    if (refused || untrusted) {
        rest(state, view, Step::kNeedsOperator, cursor.last_error);
        return ReadFailure::kHandled;
    }
    const bool definite = reply
                              ? reply->status < 500 && reply->status != 429
                              : reply.error().code == Code::kDataLoss || reply.error().code == Code::kResourceExhausted;
    pause(state, view, reply ? &*reply : nullptr, cursor.failures);
    if (!definite) return ReadFailure::kHandled;
    if (optional_read) {
        cursor.not_before = {};
        return ReadFailure::kSkip;
    }
    if (cursor.failures >= kMaxUselessReads) give_up(state, view, cursor.last_error);
    return ReadFailure::kHandled;
}

JobState resume(Goal goal, Progress progress, const JobView& view) {
    JobState state;
    state.goal = std::move(goal);
    state.progress = std::move(progress);
    state.cursor.deadline = view.now + limit_of(state.progress.step, view);
    state.cursor.resumed = state.progress.attempt > 0;
    if (state.progress.step == Step::kProbe) begin_probe(state);
    if (!should_wake(state.progress, view)) return state;
    if (view.cancel_requested) {
        cancel(state, view);
    } else {
        enter(state, view, Step::kBootWait);
    }
    return state;
}

bool should_wake(const Progress& progress, const JobView& view) {
    if (progress.step != Step::kNeedsOperator) return false;
    return view.cancel_requested || (progress.rested_in == Step::kBootWait && has_booted(progress, view));
}

Decision advance(JobState state, const JobView& view, const std::optional<Reply>& reply) {
    if (reply) absorb(state, view, *reply);
    for (int turn = 0; turn < kMaxTransitionsPerTurn; ++turn) {
        if (auto action = decide(state, view)) return {std::move(state), std::move(*action)};
    }
    rest(state, view, Step::kFailed, "the job went round in circles; this is a bug of plugin redfish");
    return {std::move(state), Action{}};
}

}  // namespace nett::redfish
