// A hostile BMC: whatever it answers, a job of any type comes to rest, and asks only its own origin.
//
// Input: one byte for the job's type and action, then answers, each "<status byte><body>\0"; the last one is repeated.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/redfish/job_machine.hpp"
#include "plugins/redfish/redact.hpp"

namespace {

using namespace nett::redfish;

constexpr int kMostTurns = 20'000;  // far above what the steps' time limits allow
constexpr std::array<unsigned, 12> kStatuses{200, 201, 202, 204, 302, 400, 401, 404, 409, 412, 428, 503};

Goal goal_of(unsigned char byte) {
    constexpr std::array<JobType, 6> kTypes{JobType::kProvision, JobType::kPower,     JobType::kMedia,
                                            JobType::kBoot,      JobType::kInventory, JobType::kCheck};
    constexpr std::array<std::string_view, 8> kActions{"on",     "off",   "cycle", "reset",
                                                       "insert", "eject", "set",   "clear"};
    Goal goal;
    goal.type = kTypes[byte % kTypes.size()];
    goal.action = kActions[byte / kTypes.size() % kActions.size()];
    goal.http_image = "http://[2001:db8::1]/m/t/nett.iso";
    return goal;
}

std::vector<Response> answers_of(std::string_view input) {
    std::vector<Response> answers;
    while (!input.empty()) {
        const auto end = std::min(input.find('\0'), input.size());
        const auto part = input.substr(0, end);
        Response answer;
        if (!part.empty()) answer.status = kStatuses[static_cast<unsigned char>(part[0]) % kStatuses.size()];
        if (!part.empty()) answer.body = part.substr(1);
        if (answer.status == 202) answer.location = answer.body;
        answers.push_back(std::move(answer));
        input.remove_prefix(std::min(end + 1, input.size()));
    }
    if (answers.empty()) answers.emplace_back();
    return answers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto answers = answers_of(input.substr(1));
    JobView view;
    view.now = nett::SystemTime(std::chrono::hours(24 * 365 * 50));
    view.origin = Origin::parse("https://[2001:db8:bc::1]").value();
    JobState state = resume(goal_of(data[0]), Progress{}, view);
    std::optional<Reply> reply;
    std::size_t next = 0;
    for (int turn = 0; turn < kMostTurns; ++turn) {
        Decision decision = advance(std::move(state), view, reply);
        state = std::move(decision.state);
        reply.reset();
        // What is stored can be read again.
        if (turn % 64 == 0 && !decode_progress(encode_progress(state.progress))) std::abort();
        switch (decision.action.kind) {
            case Action::Kind::kFinish:
                if (!is_at_rest(state.progress.step) || state.progress.message.empty()) std::abort();
                return 0;
            case Action::Kind::kWait:
                view.now = decision.action.until;
                break;
            case Action::Kind::kRecord:
                reply = Reply(Response{});
                break;
            case Action::Kind::kSend:
                if (!decision.action.request.target.starts_with('/') ||
                    decision.action.request.target.starts_with("//"))
                    std::abort();
                view.now += std::chrono::milliseconds(100);
                reply = Reply(answers[std::min(next++, answers.size() - 1)]);
        }
    }
    std::abort();
}
