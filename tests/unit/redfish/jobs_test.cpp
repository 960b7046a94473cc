// The job types beside provision: power, media, boot, inventory, check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/redfish/plan.hpp"
#include "tests/unit/redfish/play.hpp"

namespace nett::redfish {
namespace {

using testing::HasSubstr;

struct Case {
    const char* name;
    JobType type;
    const char* action;
    bool tells_last_reset = false;
};

constexpr Case kCases[] = {{"provision", JobType::kProvision, ""}, {"on", JobType::kPower, "on"},
                           {"off", JobType::kPower, "off"},        {"cycle", JobType::kPower, "cycle"},
                           {"reset", JobType::kPower, "reset"},    {"warm reset", JobType::kPower, "reset", true},
                           {"insert", JobType::kMedia, "insert"},  {"eject", JobType::kMedia, "eject"},
                           {"set", JobType::kBoot, "set"},         {"clear", JobType::kBoot, "clear"},
                           {"inventory", JobType::kInventory, ""}, {"check", JobType::kCheck, ""}};

// Something is there to be undone by each.
Play play_of(const Case& what) {
    Play play;
    play.goal.type = what.type;
    play.goal.action = what.action;
    play.bmc.tells_last_reset = what.tells_last_reset;
    const std::string_view action = what.action;
    if (action == "on") play.bmc.power = "Off";
    if (action == "eject") {
        play.bmc.inserted = true;
        play.bmc.image = "http://[2001:db8::9]/other.iso";
    }
    if (action == "clear") {
        play.bmc.enabled = "Continuous";
        play.bmc.target = "Pxe";
    }
    return play;
}

int changes(const FakeBmc& bmc) {
    return bmc.count("POST", "Actions") + bmc.count("PATCH", "");
}

TEST(Jobs, EachTypeDoesItsWorkAndNothingElse) {
    const std::map<std::string, int> expected{{"provision", 6}, {"on", 1},         {"off", 1},       {"cycle", 2},
                                              {"reset", 2},     {"warm reset", 1}, {"insert", 1},    {"eject", 1},
                                              {"set", 1},       {"clear", 1},      {"inventory", 0}, {"check", 0}};
    for (const Case& what : kCases) {
        Play play = play_of(what);
        EXPECT_EQ(play.run(), Step::kDone) << what.name << ": " << play.progress.message;
        EXPECT_EQ(changes(play.bmc), expected.at(what.name)) << what.name;
        EXPECT_FALSE(play.progress.message.empty()) << what.name;
    }
}

TEST(Jobs, AnyDeathIsMadeGoodWithoutADoubleReset) {
    for (const Case& what : kCases) {
        Play whole = play_of(what);
        ASSERT_EQ(whole.run(), Step::kDone) << what.name;
        for (const Crash crash : {Crash::kBeforeSending, Crash::kAfterSending}) {
            for (int at = 0; at < whole.requests; ++at) {
                Play play = play_of(what);
                play.crash_at = at;
                play.crash = crash;
                const Step end = play.run();
                // A warm reset that was committed and perhaps not sent is nobody's to repeat but the operator's.
                const bool undecidable = what.tells_last_reset && crash == Crash::kBeforeSending &&
                                         play.bmc.restarts == 0 && play.progress.rested_in == Step::kReset;
                EXPECT_EQ(end, undecidable ? Step::kNeedsOperator : Step::kDone) << what.name << " died at " << at;
                EXPECT_TRUE(undecidable || changes(play.bmc) == changes(whole.bmc)) << what.name << " died at " << at;
                EXPECT_LE(play.bmc.restarts, 1) << what.name << " died at " << at;
                EXPECT_EQ(play.bmc.power, whole.bmc.power) << what.name << " died at " << at;
            }
        }
    }
}

TEST(Jobs, CancelTakesEffectBetweenStepsAndCleansUp) {
    for (const Case& what : kCases) {
        for (const Step step : {Step::kProbe, Step::kPowerOff, Step::kEject, Step::kInsert, Step::kOverride,
                                Step::kPowerOn, Step::kReset, Step::kClear}) {
            Play play = play_of(what);
            play.cancel_in = step;
            const Step end = play.run();
            const bool reached = std::find(play.steps.begin(), play.steps.end(), step) != play.steps.end();
            EXPECT_EQ(end, reached ? Step::kCancelled : Step::kDone) << what.name << " in " << to_string(step);
            if (end != Step::kCancelled || what.type == JobType::kPower) continue;
            EXPECT_TRUE(std::string_view(what.action) == "eject" || !play.bmc.inserted) << what.name;
            EXPECT_NE(play.bmc.enabled, "Once") << what.name;
        }
    }
}

TEST(Jobs, AnsweredResetIsNotRepeatedWhenNothingShows) {
    Play play = play_of({"warm reset", JobType::kPower, "reset", true});
    play.bmc.fault = fault_on(Method::kPost, "ComputerSystem.Reset", FakeBmc::status(204));
    EXPECT_EQ(play.run(), Step::kNeedsOperator);
    EXPECT_EQ(play.bmc.count("POST", "ComputerSystem.Reset"), 1);
    EXPECT_THAT(play.progress.message, HasSubstr("not asked for twice"));
}

TEST(Jobs, ResetOfAMachineThatIsOffTurnsItOn) {
    Play play = play_of({"reset", JobType::kPower, "reset", true});
    play.bmc.power = "Off";
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.power_ons(), 1);
    EXPECT_EQ(play.bmc.restarts, 0);
}

TEST(Jobs, APowerJobNeedsNoVirtualMedia) {
    Play play = play_of({"off", JobType::kPower, "off"});
    play.bmc.has_media = false;
    EXPECT_EQ(play.run(), Step::kDone);
}

TEST(Jobs, AMediaJobLeavesTheMachineAlone) {
    Play play = play_of({"insert", JobType::kMedia, "insert"});
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_TRUE(play.bmc.inserted);
    EXPECT_EQ(play.bmc.count("POST", "ComputerSystem.Reset"), 0);
}

TEST(Jobs, ABootJobTakesTheTargetThatIsOffered) {
    Play play = play_of({"set", JobType::kBoot, "set"});
    play.goal.boot_target = "Pxe";
    play.goal.continuous = true;
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.target, "Pxe");
    EXPECT_EQ(play.bmc.enabled, "Continuous");
    Play other = play_of({"set", JobType::kBoot, "set"});
    other.goal.boot_target = "SDCard";
    EXPECT_EQ(other.run(), Step::kFailed);
    EXPECT_THAT(other.progress.message, HasSubstr("no boot override to SDCard"));
    EXPECT_EQ(other.bmc.count("PATCH", ""), 0);
}

TEST(Jobs, ClearingClimbsToATarget) {
    Play play = play_of({"clear", JobType::kBoot, "clear"});
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (request.method != Method::kPatch || request.body.find("\"None\"") != std::string::npos) return std::nullopt;
        return FakeBmc::refusal(400, "PropertyMissing");
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.enabled, "Disabled");
}

TEST(Jobs, InventoryTellsOfAnotherMachine) {
    Play play = play_of({"inventory", JobType::kInventory, ""});
    play.view.registered.uuid = "6e657474-0000-4000-8000-0000000000ff";
    play.view.registered.serial = "SN9";
    play.view.registered.macs = {"52:54:00:00:00:99"};
    EXPECT_EQ(play.run(), Step::kNeedsOperator);
    EXPECT_THAT(play.progress.message, HasSubstr("UUID 6e657474-0000-4000-8000-0000000000ff is registered"));
    EXPECT_THAT(play.progress.message, HasSubstr("serial SN9"));
    EXPECT_THAT(play.progress.message, HasSubstr("MAC 52:54:00:00:00:99"));
    EXPECT_EQ(play.records, 0);
}

TEST(Jobs, AUuidInTheOtherByteOrderIsTheSame) {
    Play play = play_of({"inventory", JobType::kInventory, ""});
    play.view.registered.uuid = "7474656e-0000-0040-8000-000000000001";
    EXPECT_EQ(play.run(), Step::kDone);
}

TEST(Jobs, CheckSaysWhatIsMissing) {
    Play play = play_of({"check", JobType::kCheck, ""});
    play.bmc.has_media = false;
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_THAT(play.progress.message,
                HasSubstr("cannot provision the machine (profile generic): the BMC has no virtual media"));
    EXPECT_THAT(play.progress.result, HasSubstr(R"("can_provision":false)"));
    Play able = play_of({"check", JobType::kCheck, ""});
    EXPECT_EQ(able.run(), Step::kDone);
    EXPECT_THAT(able.progress.result, HasSubstr(R"("can_provision":true)"));
    EXPECT_THAT(able.progress.result, HasSubstr(R"("model":"Model 1")"));
}

TEST(Jobs, NamesOfTypes) {
    EXPECT_EQ(parse_job_type("inventory").value(), JobType::kInventory);
    EXPECT_EQ(parse_job_type("upgrade").error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace nett::redfish
