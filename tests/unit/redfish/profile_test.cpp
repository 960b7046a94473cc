// A test for each row of the table of profiles: what that family does differently, and the job that comes through.
#include "plugins/redfish/profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/redfish/play.hpp"

namespace nett::redfish {
namespace {

using std::chrono::seconds;

std::optional<Result<Response>> pass() {
    return std::nullopt;
}

bool is_patch_of_boot(const Request& request) {
    return request.method == Method::kPatch && request.body.find("\"Boot\"") != std::string::npos;
}

TEST(Profiles, AreDetectedByTheirWords) {
    EXPECT_EQ(detect_profile("Dell Inc. PowerEdge R760 17G Monolithic").name, "dell-idrac10");
    EXPECT_EQ(detect_profile("Dell Inc. PowerEdge R640").name, "dell");
    EXPECT_EQ(detect_profile("HPE ProLiant").name, "hpe");
    EXPECT_EQ(detect_profile("Lenovo ThinkSystem").name, "lenovo-xcc");
    EXPECT_EQ(detect_profile("Supermicro SYS-1").name, "supermicro");
    EXPECT_EQ(detect_profile("NVIDIA DGX H100").name, "nvidia-dgx");
    EXPECT_EQ(detect_profile("NVIDIA GB200 NVL").name, "nvidia-gb200");
    EXPECT_EQ(detect_profile("Nvidia BlueField-3 DPU").name, "nvidia-bluefield");
    EXPECT_EQ(detect_profile("ASRockRack X").name, "ami");
    EXPECT_EQ(detect_profile("GIGA-BYTE; AMI").name, "ami");
    EXPECT_EQ(detect_profile("  OpenBmc").name, "openbmc");
    EXPECT_EQ(detect_profile("Dynamics of Miami").name, "generic");
}

TEST(Profiles, TheOperatorsChoiceCounts) {
    Play play;
    play.bmc.vendor = "HPE";
    play.view.profile = "supermicro";
    play.bmc.targets = {"Cd", "UsbCd"};
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.progress.boot_target, "UsbCd");
}

TEST(Profiles, DellEjectsBeforeItInserts) {
    Play play;
    play.bmc.vendor = "Dell Inc.";
    // Attached, whatever the slot says.
    play.bmc.fault = [attached = true](const Request& request) mutable -> std::optional<Result<Response>> {
        if (request.target.ends_with("EjectMedia")) attached = false;
        if (request.target.ends_with("InsertMedia") && attached) return FakeBmc::refusal(500, "VRM0012");
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.progress.profile, "dell");
    EXPECT_EQ(play.bmc.count("POST", "InsertMedia"), 1);
}

TEST(Profiles, OldDellBootsByServerBoot) {
    Play play;
    play.bmc.vendor = "Dell Inc.";
    play.bmc.targets = {"None", "Pxe", "Hdd"};
    play.bmc.attributes = {{"ServerBoot.1.FirstBootDevice", "Normal"}, {"ServerBoot.1.BootOnce", "Disabled"}};
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("PATCH", "Managers/1/Attributes", "VCD-DVD"), 1);
    EXPECT_EQ(play.bmc.count("PATCH", "Systems"), 0);
    EXPECT_EQ(play.bmc.attributes.at("ServerBoot.1.FirstBootDevice"), "Normal");
}

TEST(Profiles, Idrac10TakesTheSettingsAndConflictsAtPowerOn) {
    Play play;
    play.bmc.vendor = "Dell Inc.";
    play.bmc.manager_model = "17G Monolithic";
    play.bmc.settings = "/redfish/v1/Systems/1/Settings";
    const SystemTime before = play.view.now;
    play.bmc.fault = [conflicts = 6](const Request& request) mutable -> std::optional<Result<Response>> {
        if (request.method == Method::kPost && !request.if_match.empty()) return FakeBmc::refusal(400, "HeaderInvalid");
        if (is_patch_of_boot(request) && !request.target.ends_with("/Settings")) {
            return FakeBmc::refusal(400, "PropertyNotWritable");
        }
        if (request.body.find("\"On\"") != std::string::npos && conflicts-- > 0) return FakeBmc::status(409);
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone) << play.progress.message;
    EXPECT_EQ(play.progress.profile, "dell-idrac10");
    EXPECT_EQ(play.bmc.count("PATCH", "Systems/1/Settings", "Once"), 1);
    EXPECT_EQ(play.bmc.power_ons(), 7);
    EXPECT_GE(play.view.now - before, seconds(60));
}

TEST(Profiles, HpeEjectsOnlyWhatIsInsertedAndClearsWithoutATarget) {
    Play play;
    play.bmc.vendor = "HPE";
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.target.ends_with("EjectMedia") && !play.bmc.inserted) return FakeBmc::refusal(400, "NoMedia");
        if (is_patch_of_boot(request) && request.body.find("\"None\"") != std::string::npos) {
            return FakeBmc::refusal(400, "PropertyValueNotInList");
        }
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("POST", "EjectMedia"), 1);
    EXPECT_EQ(play.bmc.enabled, "Disabled");
}

TEST(Profiles, HpeWaitsForThePost) {
    Play play;
    play.bmc.vendor = "HPE";
    play.bmc.fault = [left = 3](const Request& request) mutable -> std::optional<Result<Response>> {
        if (!is_patch_of_boot(request) || left-- <= 0) return pass();
        return FakeBmc::refusal(400, "UnableToModifyDuringSystemPOST");
    };
    const SystemTime before = play.view.now;
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_GE(play.view.now - before, seconds(5 + 10 + 20));
}

TEST(Profiles, LenovoPatchesTheSlotAndKnowsOnlyOnce) {
    Play play;
    play.bmc.vendor = "Lenovo";
    play.bmc.has_insert_action = false;
    play.bmc.checks_etag = true;
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.target == "/vm/cd" && request.method == Method::kPatch) {
            play.bmc.checks_etag = false;
            auto answer = play.bmc.serve(request);
            play.bmc.checks_etag = true;
            return answer;
        }
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone) << play.progress.message;
    EXPECT_EQ(play.bmc.count("PATCH", "/vm/cd", "\"Inserted\":true"), 1);
    EXPECT_EQ(play.bmc.count("PATCH", "/vm/cd", "\"Image\":null"), 1);
    Play continuous;
    continuous.bmc.vendor = "Lenovo";
    continuous.goal.type = JobType::kBoot;
    continuous.goal.action = "set";
    continuous.goal.continuous = true;
    EXPECT_EQ(continuous.run(), Step::kFailed);
    EXPECT_THAT(continuous.progress.message, testing::HasSubstr("once only"));
}

TEST(Profiles, ABmcThatWantsAnEtagAndGivesNoneGetsAStar) {
    Play play;
    play.bmc.vendor = "AMI";
    play.bmc.system_etag = "";
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (is_patch_of_boot(request) && request.if_match != "*") return FakeBmc::refusal(428, "PreconditionRequired");
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("PATCH", "Systems/1", "Once"), 2);
}

TEST(Profiles, SupermicroTakesTheImageAloneAndUsbCd) {
    Play play;
    play.bmc.vendor = "Supermicro";
    play.bmc.targets = {"None", "Cd", "UsbCd"};
    play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
        if (request.target.ends_with("InsertMedia") && request.body.find("Inserted") != std::string::npos) {
            return FakeBmc::refusal(400, "ActionParameterUnknown");
        }
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.progress.boot_target, "UsbCd");
    EXPECT_EQ(play.bmc.count("POST", "InsertMedia"), 1);
}

TEST(Profiles, BlueFieldFetchesByItself) {
    Play play;
    play.bmc.vendor = "Nvidia BlueField-3";
    play.bmc.has_media = false;
    play.bmc.targets = {"None", "Pxe", "UefiHttp"};
    EXPECT_EQ(play.run(), Step::kDone) << play.progress.message;
    EXPECT_TRUE(play.progress.http_boot);
    EXPECT_EQ(play.bmc.http_uri, kImage);
    EXPECT_EQ(play.bmc.count("POST", "Media"), 0);
    EXPECT_EQ(play.bmc.enabled, "Disabled");
}

TEST(Profiles, DgxTakesTheSdObjectAndCredentials) {
    Play play;
    play.bmc.vendor = "NVIDIA DGX";
    play.bmc.settings = "/redfish/v1/Systems/1/SD";
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (is_patch_of_boot(request) && !request.target.ends_with("/SD")) {
            return FakeBmc::status(400, R"({"error":{"message":"no"}})");
        }
        if (request.target.ends_with("InsertMedia") &&
            request.body.find("\"UserName\":\"none\"") == std::string::npos) {
            return FakeBmc::refusal(400, "ActionParameterMissing");
        }
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone) << play.progress.message;
    EXPECT_EQ(play.bmc.count("POST", "InsertMedia"), 1);
}

TEST(Profiles, ASettingsObjectWithoutBootGivesWayToTheSystem) {
    Play play;
    play.bmc.vendor = "NVIDIA DGX";
    play.bmc.settings = "/redfish/v1/Systems/1/SD";
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (request.method == Method::kGet && request.target.ends_with("/SD")) return FakeBmc::status(200, "{}");
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone) << play.progress.message;
    EXPECT_EQ(play.bmc.count("PATCH", "Systems/1", "Once"), 1);
}

TEST(Profiles, Gb200HasNoModeAndTakesHttpsOnly) {
    Play play;
    play.bmc.vendor = "NVIDIA GB200";
    play.bmc.mode = "";
    play.goal.https_image = "https://[2001:db8::1]/media/nett.iso";
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (is_patch_of_boot(request) && request.body.find("Mode") != std::string::npos) {
            return FakeBmc::refusal(400, "PropertyUnknown");
        }
        if (request.target.ends_with("InsertMedia") && request.body.find("https:") == std::string::npos) {
            return FakeBmc::refusal(400, "ActionParameterValueFormatError");
        }
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone) << play.progress.message;
    EXPECT_EQ(play.progress.image_scheme, "https");
    EXPECT_EQ(play.bmc.count("PATCH", "Systems/1", "Once"), 1);
}

TEST(Profiles, AmiGetsTargetEnabledAndModeTogether) {
    Play play;
    play.bmc.vendor = "American Megatrends";
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (is_patch_of_boot(request) && request.body.find("Once") != std::string::npos &&
            request.body.find("BootSourceOverrideMode") == std::string::npos) {
            return FakeBmc::refusal(400, "PropertyMissing");
        }
        if (request.target.ends_with("InsertMedia") && request.body.find("TransferProtocolType") == std::string::npos) {
            return FakeBmc::refusal(400, "ActionParameterMissing");
        }
        return pass();
    };
    play.bmc.mode = "";
    EXPECT_EQ(play.run(), Step::kDone) << play.progress.message;
    EXPECT_EQ(play.bmc.count("POST", "InsertMedia"), 1);
}

TEST(Profiles, OpenBmcGetsHttpsAndAStream) {
    Play play;
    play.bmc.manufacturer = "";
    play.bmc.vendor = "OpenBmc";
    play.goal.https_image = "https://[2001:db8::1]/media/nett.iso";
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("POST", "InsertMedia", "\"TransferMethod\":\"Stream\""), 1);
    EXPECT_EQ(play.bmc.count("POST", "InsertMedia", "\"Image\":\"https:"), 1);
}

TEST(Profiles, EmptySlotsAreCalledByManyNames) {
    for (const char* empty : {"null", R"("")", R"("None")", R"("N/A")"}) {
        Play play;
        play.bmc.fault = [&](const Request& request) -> std::optional<Result<Response>> {
            if (request.method != Method::kGet || request.target != "/vm/cd" || play.bmc.inserted) return pass();
            return FakeBmc::status(200,
                                   std::string(R"({"MediaTypes":["DVD"],"Image":)") + empty +
                                       R"(,"Actions":{"#VirtualMedia.InsertMedia":{"target":"/vm/cd/InsertMedia"},)" +
                                       R"("#VirtualMedia.EjectMedia":{"target":"/vm/cd/EjectMedia"}}})");
        };
        EXPECT_EQ(play.run(), Step::kDone) << empty;
        EXPECT_EQ(play.bmc.count("POST", "EjectMedia"), 1) << empty;
    }
}

TEST(Profiles, TheNextSlotIsTakenWhereOneHasNoAction) {
    Play play;
    play.bmc.fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (request.target == "/vm") {
            return FakeBmc::status(200, R"({"Members":[{"@odata.id":"/vm/show"},{"@odata.id":"/vm/cd"}]})");
        }
        if (request.target == "/vm/show") return FakeBmc::status(200, R"({"MediaTypes":["CD"],"Inserted":false})");
        return pass();
    };
    EXPECT_EQ(play.run(), Step::kDone);
    EXPECT_EQ(play.bmc.count("PATCH", "/vm/show"), 0);
}

}  // namespace
}  // namespace nett::redfish
