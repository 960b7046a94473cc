// The state machine against a BMC in memory: no network, no clock.
#include "plugins/redfish/job_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/redfish/play.hpp"

namespace nett::redfish {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

TEST(Provision, WalksThroughEveryStep) {
    Play play;
    EXPECT_EQ(play.run(), Step::kDone);
    const std::vector<Step> expected{Step::kProbe,  Step::kPowerOff, Step::kEject,    Step::kInsert,  Step::kOverride,
                                     Step::kVerify, Step::kPowerOn,  Step::kBootWait, Step::kCleanup, Step::kDone};
    // PROBE is entered and left within turns that read; what is committed is each step once.
    EXPECT_EQ(play.steps, expected);
    EXPECT_EQ(play.bmc.power, "On");
    EXPECT_FALSE(play.bmc.inserted);
    EXPECT_EQ(play.bmc.enabled, "Disabled");
    EXPECT_EQ(play.bmc.mode, "UEFI");
    EXPECT_EQ(play.bmc.power_ons(), 1);
    EXPECT_EQ(play.progress.power_before, "On");
}

TEST(Provision, LeavesAloneWhatIsAsWanted) {
    Play play;
    play.bmc.power = "Off";
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("POST", "ComputerSystem.Reset", "ForceOff"), 0);
    EXPECT_EQ(play.bmc.count("POST", "EjectMedia"), 1);  // only the one of CLEANUP
}

TEST(Provision, EjectsForeignMediaFirst) {
    Play play;
    play.bmc.inserted = true;
    play.bmc.image = "http://[2001:db8::9]/other.iso";
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("POST", "EjectMedia"), 2);
}

TEST(Provision, FindsMediaUnderTheManager) {
    Play play;
    play.bmc.media_under_manager = true;
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.progress.slots.front().uri, "/vm/cd");
}

TEST(Provision, SurvivesADeathAtEveryRequest) {
    Play whole;
    ASSERT_EQ(whole.run(), Step::kDone);
    ASSERT_GT(whole.requests, 15);
    for (const Crash crash : {Crash::kBeforeSending, Crash::kAfterSending}) {
        for (int at = 0; at < whole.requests; ++at) {
            Play play;
            play.crash_at = at;
            play.crash = crash;
            EXPECT_EQ(play.run(), Step::kDone) << "died at request " << at;
            EXPECT_EQ(play.bmc.power_ons(), 1) << "died at request " << at;
            EXPECT_EQ(play.bmc.count("POST", "ComputerSystem.Reset", "ForceOff"), 1) << "died at request " << at;
            EXPECT_EQ(play.bmc.count("POST", "InsertMedia"), 1) << "died at request " << at;
            EXPECT_FALSE(play.bmc.inserted);
        }
    }
}

TEST(Provision, TakesNoSuccessForTheEffect) {
    Play play;
    play.bmc.fault = fault_on(Method::kPost, "InsertMedia", FakeBmc::status(204), 1);
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("POST", "InsertMedia"), 2);
}

TEST(Provision, FailsAndCleansUpWhenNothingEverHasAnEffect) {
    Play play;
    play.bmc.fault = fault_on(Method::kPatch, "Systems/1", FakeBmc::status(200, "{}"));
    EXPECT_EQ(play.run(), Step::kFailed);
    EXPECT_THAT(play.progress.message, HasSubstr("OVERRIDE was asked for 3 times and had no effect"));
    EXPECT_FALSE(play.bmc.inserted);
    EXPECT_EQ(play.bmc.power_ons(), 0);
}

TEST(Provision, WaitsWhileTheBmcIsBusy) {
    Play play;
    Response busy = FakeBmc::refusal(503, "ServiceTemporarilyUnavailable");
    busy.retry_after = seconds(7);
    play.bmc.fault = fault_on(Method::kPost, "ComputerSystem.Reset", busy, 3);
    const SystemTime before = play.view.now;
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_GE(play.view.now - before, seconds(21));
    EXPECT_EQ(play.bmc.count("POST", "ComputerSystem.Reset", "ForceOff"), 4);
}

TEST(Provision, ReadsBackAfterATimeout) {
    Play play;
    const Result<Response> lost = fail(Code::kDeadlineExceeded, "timed out");
    play.bmc.fault = [&, done = false](const Request& request) mutable -> std::optional<Result<Response>> {
        if (done || request.body.find("\"On\"") == std::string::npos) return std::nullopt;
        done = true;
        (void)play.bmc.serve(request);  // it arrived, only the answer was lost
        return lost;
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.power_ons(), 1);
}

TEST(Provision, ClimbsTheInsertLadder) {
    Play play;
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (request.target.ends_with("InsertMedia") && request.body.find("TransferMethod") == std::string::npos) {
            return FakeBmc::refusal(400, "ActionParameterMissing");
        }
        return std::nullopt;
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.progress.rung, 3U);
}

TEST(Provision, FailsWhenNoSlotTakesTheImage) {
    Play play;
    play.bmc.fault = fault_on(Method::kPost, "InsertMedia", FakeBmc::refusal(400, "ActionParameterUnknown"));
    EXPECT_EQ(play.run(), Step::kFailed);
    EXPECT_THAT(play.progress.message, HasSubstr("no virtual media slot takes the image"));
}

TEST(Provision, GoesDownTheEtagLadder) {
    Play play;
    play.bmc.checks_etag = true;
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.method == Method::kPatch && request.if_match.starts_with("W/")) {
            return FakeBmc::refusal(412, "PreconditionFailed");
        }
        play.bmc.system_etag = request.method == Method::kPatch ? "\"1\"" : "W/\"1\"";
        return std::nullopt;
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.progress.etag_rung, 1);
}

TEST(Provision, FollowsATask) {
    Play play;
    int polls = 0;
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.target.ends_with("InsertMedia")) {
            Response accepted = FakeBmc::status(202);
            accepted.location = "https://[2001:db8:bc::1]/redfish/v1/TaskService/TaskMonitors/7";
            return accepted;
        }
        if (!request.target.ends_with("TaskMonitors/7")) return std::nullopt;
        if (++polls < 3) return FakeBmc::status(202, R"({"TaskState":"Running"})");
        play.bmc.image = kImage;
        play.bmc.inserted = true;
        return FakeBmc::status(204);
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(polls, 3);
}

TEST(Provision, AsksAgainAfterAFailedTask) {
    Play play;
    int inserts = 0;
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.target.ends_with("InsertMedia") && inserts++ == 0) {
            return FakeBmc::status(202, R"({"@odata.id":"/task/1","TaskState":"New"})");
        }
        if (request.target == "/task/1")
            return FakeBmc::status(200, R"({"TaskState":"Exception","Messages":[{"Message":"no route"}]})");
        return std::nullopt;
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(inserts, 2);
}

TEST(Provision, PatchesTheSettingsObjectWhereTheSystemRefuses) {
    Play play;
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.method == Method::kPatch && request.target.ends_with("Systems/1")) {
            return FakeBmc::refusal(400, "PropertyNotWritable");
        }
        if (request.method == Method::kPatch) return play.bmc.serve(request);
        if (request.target.ends_with("/Settings"))
            return play.bmc.serve({Method::kGet, "/redfish/v1/Systems/1", "", "", "", ""});
        if (request.method != Method::kGet || request.target != "/redfish/v1/Systems/1") return std::nullopt;
        Response answer = play.bmc.serve(request).value();
        auto body = boost::json::parse(answer.body).as_object();
        body["@Redfish.Settings"] =
            boost::json::parse(R"({"SettingsObject":{"@odata.id":"/redfish/v1/Systems/1/Settings"}})");
        answer.body = boost::json::serialize(body);
        return answer;
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_TRUE(play.progress.use_settings);
}

TEST(Provision, ConflictInTheWantedPowerStateIsSuccess) {
    Play play;
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.body.find("ForceOff") == std::string::npos) return std::nullopt;
        play.bmc.power = "Off";
        return FakeBmc::refusal(409, "NoOperation");
    };
    EXPECT_EQ(play.run(), Step::kDone);
}

TEST(Provision, NeedsItsOperatorWhenTheMachineDoesNotBoot) {
    Play play;
    play.boots = false;
    EXPECT_EQ(play.run(), Step::kNeedsOperator);
    EXPECT_THAT(play.progress.message, HasSubstr("no boot request came from the machine within 1800 s"));
    EXPECT_TRUE(play.bmc.inserted);
    // A late boot still ends the job.
    EXPECT_FALSE(should_wake(play.progress, play.view));
    ++play.view.boots;
    EXPECT_TRUE(should_wake(play.progress, play.view));
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_FALSE(play.bmc.inserted);
}

TEST(Provision, ARefusedBootIsNoBoot) {
    Play play;
    play.view.last_boot_refused = true;
    EXPECT_EQ(play.run(), Step::kNeedsOperator);
    EXPECT_THAT(play.progress.message, HasSubstr("was refused"));
    EXPECT_FALSE(should_wake(play.progress, play.view));
    play.view.last_boot_refused = false;
    ++play.view.boots;
    EXPECT_EQ(play.run(), Step::kDone);
}

TEST(Provision, CancellingAWaitForTheOperatorCleansUp) {
    Play play;
    play.boots = false;
    ASSERT_EQ(play.run(), Step::kNeedsOperator);
    play.view.cancel_requested = true;
    EXPECT_EQ(play.run(), Step::kCancelled);
    EXPECT_FALSE(play.bmc.inserted);
}

TEST(Provision, CancelsAtEveryStepBoundary) {
    for (const Step step : {Step::kPowerOff, Step::kEject, Step::kInsert, Step::kOverride, Step::kVerify,
                            Step::kPowerOn, Step::kBootWait}) {
        Play play;
        play.cancel_in = step;
        EXPECT_EQ(play.run(), Step::kCancelled) << to_string(step);
        EXPECT_THAT(play.progress.message, HasSubstr("cancelled in ")) << to_string(step);
        EXPECT_FALSE(play.bmc.inserted);
        EXPECT_NE(play.bmc.enabled, "Once");
    }
    Play play;
    play.cancel_in = Step::kProbe;
    EXPECT_EQ(play.run(), Step::kCancelled);
    EXPECT_THAT(play.progress.message, HasSubstr("before anything was changed"));
}

TEST(Provision, CancelAfterTheBootIsTooLate) {
    Play play;
    play.cancel_in = Step::kCleanup;
    EXPECT_EQ(play.run(), Step::kDone);
}

TEST(Provision, RefusesLinksToOtherOrigins) {
    for (const char* link : {"https://[2001:db8:bc::2]/redfish/v1/Systems", "//evil/redfish",
                             "http://[2001:db8:bc::1]/x", "https://[2001:db8:bc::1]:8443/x", "ftp:x", "/a b", ""}) {
        Play play;
        play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
            if (request.target != "/redfish/v1/") return std::nullopt;
            return FakeBmc::status(200, std::string(R"({"Systems":{"@odata.id":")") + link + "\"}}");
        };
        EXPECT_EQ(play.run(), Step::kFailed) << link;
        for (const Request& request : play.bmc.log) EXPECT_EQ(request.target, "/redfish/v1/");
    }
}

TEST(Provision, RefusesAnActionOnAnotherOrigin) {
    Play play;
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.target != "/redfish/v1/Systems/1") return std::nullopt;
        return FakeBmc::status(
            200,
            R"({"PowerState":"On","Actions":{"#ComputerSystem.Reset":{"target":"https://[2001:db8::66]/reset"}}})");
    };
    EXPECT_EQ(play.run(), Step::kFailed);
    EXPECT_THAT(play.progress.message, HasSubstr("another origin"));
}

TEST(Provision, EndsWithATaskOnAnotherOrigin) {
    Play play;
    Response accepted = FakeBmc::status(202);
    accepted.location = "https://[2001:db8::66]/task";
    play.bmc.fault = fault_on(Method::kPost, "InsertMedia", accepted);
    EXPECT_EQ(play.run(), Step::kFailed);
    EXPECT_THAT(play.progress.message, HasSubstr("another origin"));
}

TEST(Provision, HostileAnswersEndInADefiniteState) {
    const std::string deep(100'000, '[');
    const std::string bodies[] = {"",
                                  "null",
                                  "[]",
                                  "7",
                                  "{",
                                  deep,
                                  R"({"Systems":7})",
                                  R"({"Systems":{"@odata.id":[]}})",
                                  R"({"Members":"x"})",
                                  R"({"Members":[1,null,{"@odata.id":5}]})",
                                  "\xff\xfe",
                                  R"({"Systems":{"@odata.id":"/redfish/v1/"},"Members":[{"@odata.id":"/redfish/v1/"}],
                                      "Actions":{"#ComputerSystem.Reset":{"target":"/redfish/v1/"}},
                                      "VirtualMedia":{"@odata.id":"/redfish/v1/"}})"};
    for (const std::string& body : bodies) {
        Play play;
        play.bmc.fault = [&](const Request&) -> std::optional<Result<Response>> { return FakeBmc::status(200, body); };
        EXPECT_TRUE(is_at_rest(play.run())) << body.substr(0, 40);
        EXPECT_FALSE(play.progress.message.empty());
    }
}

TEST(Provision, WrongAnswersAtEveryRequestEndInADefiniteState) {
    Play whole;
    ASSERT_EQ(whole.run(), Step::kDone);
    const Result<Response> answers[] = {FakeBmc::status(200, "[[["),
                                        FakeBmc::status(302),
                                        FakeBmc::status(500, "<html>"),
                                        FakeBmc::status(999),
                                        FakeBmc::refusal(403, "InsufficientPrivilege"),
                                        fail(Code::kDataLoss, "not HTTP"),
                                        fail(Code::kResourceExhausted, "too large"),
                                        fail(Code::kUnavailable, "no route"),
                                        fail(Code::kUnauthenticated, "refused")};
    for (const auto& answer : answers) {
        for (int from = 0; from < whole.requests; ++from) {
            Play play;
            play.bmc.fault = [&](const Request&) -> std::optional<Result<Response>> {
                if (static_cast<int>(play.bmc.log.size()) <= from) return std::nullopt;
                return answer;
            };
            const Step end = play.run();
            EXPECT_TRUE(is_at_rest(end)) << from;
            EXPECT_FALSE(play.progress.message.empty()) << from;
        }
    }
}

TEST(Provision, RefusedRightsNeedAnOperator) {
    Play play;
    play.bmc.fault = fault_on(Method::kPost, "ComputerSystem.Reset", FakeBmc::refusal(403, "InsufficientPrivilege"));
    EXPECT_EQ(play.run(), Step::kNeedsOperator);
    EXPECT_THAT(play.progress.message, HasSubstr("403"));
}

TEST(Provision, OneOfSeveralSystemsMustBeNamed) {
    Play play;
    play.bmc.fault = fault_on(
        Method::kGet, "/redfish/v1/Systems",
        FakeBmc::status(200,
                        R"({"Members":[{"@odata.id":"/redfish/v1/Systems/1"},{"@odata.id":"/redfish/v1/Systems/2"}]})"),
        1);
    EXPECT_EQ(play.run(), Step::kFailed);
    EXPECT_THAT(play.progress.message, HasSubstr("has 2 systems"));
    Play named;
    named.view.system_path = "/redfish/v1/Systems/1";
    EXPECT_EQ(named.run(), Step::kDone);
    EXPECT_EQ(named.bmc.count("GET", "/redfish/v1/Systems", ""), named.bmc.count("GET", "/redfish/v1/Systems/1", ""));
}

TEST(Provision, ProgressSurvivesItsText) {
    Play play;
    ASSERT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(decode_progress(encode_progress(play.progress)).value(), play.progress);
    EXPECT_EQ(decode_progress(R"({"schema":2})").error().code, Code::kDataLoss);
    EXPECT_EQ(decode_progress("]").error().code, Code::kDataLoss);
    Progress slotless;
    slotless.step = Step::kInsert;
    EXPECT_EQ(decode_progress(encode_progress(slotless)).error().code, Code::kDataLoss);
    EXPECT_EQ(decode_progress("").value(), Progress{});
}

}  // namespace
}  // namespace nett::redfish
