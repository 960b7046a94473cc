// Plays a job against a BMC in memory: no network, no clock. The agent may die at any request.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plugins/redfish/job_machine.hpp"
#include "tests/unit/redfish/fake_bmc.hpp"

namespace nett::redfish {

inline constexpr const char* kImage = "http://[2001:db8::1]:8080/media/nett.iso";
enum class Crash { kNone, kBeforeSending, kAfterSending };

// Plays a job to its rest. Time jumps to wherever the job waits for.
class Play {
public:
    FakeBmc bmc;
    JobView view;
    Goal goal;
    Progress progress;
    bool boots = true;  // the machine asks for its boot script when it was powered on with the image
    int crash_at = -1;  // the n-th request
    Crash crash = Crash::kNone;
    std::optional<Step> cancel_in;
    int requests = 0;
    int records = 0;
    std::vector<Step> steps;

    Play() {
        view.now = SystemTime(std::chrono::hours(24 * 365 * 50));
        view.origin = Origin::parse("https://[2001:db8:bc::1]").value();
        goal.http_image = kImage;
    }

    Step run() {
        JobState state = resume(goal, reload(), view);
        std::optional<Reply> reply;
        for (int turn = 0; turn < 5000; ++turn) {
            Decision decision = advance(std::move(state), view, reply);
            reply.reset();
            state = std::move(decision.state);
            commit(state.progress);
            switch (decision.action.kind) {
                case Action::Kind::kFinish:
                    return progress.step;
                case Action::Kind::kWait:
                    wait(decision.action);
                    break;
                case Action::Kind::kRecord:
                    reply = record(decision.action.facts);
                    if (!reply) state = resume(goal, reload(), view);
                    break;
                case Action::Kind::kSend:
                    reply = send(decision.action.request);
                    if (!reply) state = resume(goal, reload(), view);
                    break;
            }
        }
        ADD_FAILURE() << "the job did not come to rest";
        return progress.step;
    }

private:
    Progress reload() { return decode_progress(encode_progress(progress)).value(); }

    void commit(const Progress& next) {
        if (steps.empty() || steps.back() != next.step) steps.push_back(next.step);
        progress = next;
        if (cancel_in && next.step == *cancel_in) view.cancel_requested = true;
    }

    bool will_boot() const {
        if (bmc.enabled == "Disabled" && bmc.attributes.empty()) return false;
        return bmc.inserted || !bmc.http_uri.empty();
    }

    void wait(const Action& action) {
        EXPECT_GT(action.until, view.now);
        if (progress.step == Step::kBootWait && boots && bmc.power == "On" && will_boot()) {
            ++view.boots;
            return;
        }
        view.now = action.until;
    }

    std::optional<Reply> record(const MachineFacts& facts) {
        const bool dies = requests++ == crash_at;
        if (dies && crash == Crash::kBeforeSending) return std::nullopt;
        if (view.registered.uuid.empty()) view.registered.uuid = facts.uuid;
        if (view.registered.serial.empty()) view.registered.serial = facts.serial;
        if (view.registered.macs.empty()) view.registered.macs = facts.macs;
        ++records;
        if (dies) return std::nullopt;
        return Reply(FakeBmc::status(200));
    }

    // Nothing: the agent was killed, and starts again.
    std::optional<Reply> send(const Request& request) {
        const bool dies = requests++ == crash_at;
        view.now += std::chrono::milliseconds(100);
        if (dies && crash == Crash::kBeforeSending) return std::nullopt;
        Reply reply = bmc.answer(request);
        if (dies) return std::nullopt;
        return reply;
    }
};

// Answers `reply` to the first `times` requests that match, and to all others normally.
inline auto fault_on(Method method, std::string part, Result<Response> reply, int times = 1000) {
    return [=](const Request& request) mutable -> std::optional<Result<Response>> {
        if (request.method != method || request.target.find(part) == std::string::npos || times-- <= 0)
            return std::nullopt;
        return reply;
    };
}

}  // namespace nett::redfish
