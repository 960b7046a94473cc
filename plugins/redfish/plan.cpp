#include "plugins/redfish/plan.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace nett::redfish {
namespace {

using enum Step;

constexpr std::array kProvision{kPowerOff, kEject, kInsert, kOverride, kVerify, kPowerOn, kBootWait, kCleanup};
constexpr std::array kProvisionHttp{kPowerOff, kOverride, kVerify, kPowerOn, kBootWait, kCleanup};
constexpr std::array kOn{kPowerOn};
constexpr std::array kOff{kPowerOff};
constexpr std::array kCycle{kPowerOff, kPowerOn};
constexpr std::array kRestart{kReset};
constexpr std::array kInsertMedia{kEject, kInsert};
constexpr std::array kEjectMedia{kEject};
constexpr std::array kSetBoot{kOverride};
constexpr std::array kClearBoot{kClear};
constexpr std::array kInventory{kRecord};

struct TypeName {
    std::string_view name;
    JobType type;
};
constexpr std::array<TypeName, 6> kTypes{{{"provision", JobType::kProvision},
                                          {"power", JobType::kPower},
                                          {"media", JobType::kMedia},
                                          {"boot", JobType::kBoot},
                                          {"inventory", JobType::kInventory},
                                          {"check", JobType::kCheck}}};

// A reset cannot be told from a repeated one, unless the BMC says when the last one was. Where it does not, off and on
// does the same and converges when it is replayed.
std::span<const Step> reset_plan(const Progress& progress) {
    if (progress.power_before == "Off") return kOn;
    if (!progress.last_reset.empty()) return kRestart;
    return kCycle;
}

std::span<const Step> power_plan(const Goal& goal, const Progress& progress) {
    if (goal.action == "on") return kOn;
    if (goal.action == "off") return kOff;
    if (goal.action == "reset") return reset_plan(progress);
    return kCycle;
}

}  // namespace

Result<JobType> parse_job_type(std::string_view text) {
    const auto found =
        std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeName& entry) { return entry.name == text; });
    if (found == kTypes.end()) return fail(Code::kInvalidArgument, "\"{}\" is not a type of job of redfish", text);
    return found->type;
}

std::span<const Step> plan_of(const Goal& goal, const Progress& progress) {
    switch (goal.type) {
        case JobType::kProvision:
            if (progress.http_boot) return kProvisionHttp;
            return kProvision;
        case JobType::kPower:
            return power_plan(goal, progress);
        case JobType::kMedia:
            if (goal.action == "insert") return kInsertMedia;
            return kEjectMedia;
        case JobType::kBoot:
            if (goal.action == "set") return kSetBoot;
            return kClearBoot;
        case JobType::kInventory:
            return kInventory;
        case JobType::kCheck:
            break;
    }
    return {};
}

Step next_step(const Goal& goal, const Progress& progress, Step step) {
    const auto plan = plan_of(goal, progress);
    if (step == kProbe) return plan.empty() ? kDone : plan.front();
    const auto here = std::find(plan.begin(), plan.end(), step);
    return here == plan.end() || here + 1 == plan.end() ? kDone : *(here + 1);
}

bool needs_media(const Goal& goal) {
    return goal.type == JobType::kProvision || goal.type == JobType::kMedia;
}

bool needs_target(const Goal& goal) {
    return goal.type == JobType::kProvision || (goal.type == JobType::kBoot && goal.action == "set");
}

bool is_survey(const Goal& goal) {
    return goal.type == JobType::kInventory || goal.type == JobType::kCheck;
}

bool cleans_media(const Goal& goal, const Progress& progress) {
    const bool inserts = goal.type == JobType::kProvision || (goal.type == JobType::kMedia && goal.action == "insert");
    return inserts && !progress.http_boot && !progress.slots.empty();
}

bool cleans_override(const Goal& goal, const Progress&) {
    return needs_target(goal);
}

std::string done_message(const Goal& goal, const Progress& progress) {
    switch (goal.type) {
        case JobType::kPower: {
            const auto plan = plan_of(goal, progress);
            if (plan.back() == kPowerOff) return "the machine is off";
            if (plan.front() == kPowerOn) return "the machine is on";
            return plan.front() == kReset ? "the machine was reset" : "the machine was powered off and on";
        }
        case JobType::kMedia:
            return goal.action == "insert" ? "the image is inserted" : "the slot is empty";
        case JobType::kBoot:
            if (goal.action != "set") return "the boot override is cleared";
            return fmt::format("the machine boots from {}{}", progress.boot_target,
                               goal.continuous ? " until that is cleared" : " once");
        case JobType::kInventory:
            return "the machine's record agrees with its BMC";
        default:
            return progress.message;
    }
}

}  // namespace nett::redfish
