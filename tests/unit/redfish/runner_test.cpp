// The driver: taking jobs, places, limits, images, ends and restarts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/redfish/runner_fixture.hpp"

namespace nett::redfish {
namespace {

using testing::HasSubstr;

TEST_F(RunnerTest, TakesAQueuedJobToItsEnd) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    boot("node-1");
    settle();
    EXPECT_EQ(job("1").state, "DONE");
    EXPECT_THAT(job("1").message, HasSubstr("the image is ejected"));
    std::vector<std::string> steps;
    for (const Event& event : events.published) steps.push_back(event.fields.at("step"));
    EXPECT_EQ(steps, (std::vector<std::string>{"PROBE", "POWER_OFF", "EJECT", "INSERT", "OVERRIDE", "VERIFY",
                                               "POWER_ON", "BOOT_WAIT", "CLEANUP", "DONE"}));
}

TEST_F(RunnerTest, RefusesABmcOutsideItsPrefixes) {
    add_machine("node-1", "2001:db8:66::1");
    add_job("1", "node-1");
    start();
    settle();
    EXPECT_EQ(job("1").state, "FAILED");
    EXPECT_THAT(job("1").message, HasSubstr("allow-bmc"));
    EXPECT_TRUE(bmcs.empty());
}

TEST_F(RunnerTest, SaysWhatIsMissing) {
    Machine machine;
    machine.name = "bare";
    store.put(put_of(machine));
    machine.name = "locked";
    machine.locked = true;
    store.put(put_of(machine));
    add_job("1", "bare");
    add_job("2", "locked");
    add_job("3", "nobody");
    start();
    settle();
    EXPECT_THAT(job("1").message, HasSubstr("has no BMC"));
    EXPECT_THAT(job("2").message, HasSubstr("is locked"));
    EXPECT_THAT(job("3").message, HasSubstr("there is no machine"));
}

TEST_F(RunnerTest, WorksOnOneJobOfABmcAtATime) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    add_job("2", "node-1");
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_EQ(job("2").state, "QUEUED");
    boot("node-1");
    settle();
    EXPECT_EQ(job("1").state, "DONE");
    EXPECT_EQ(job("2").state, "BOOT_WAIT");
}

// Each BMC answers nothing until it is released.
TEST_F(RunnerTest, KeepsItsLimit) {
    settings.concurrency = 2;
    for (int i = 1; i <= 4; ++i) add_machine("node-" + std::to_string(i), "2001:db8:bc::" + std::to_string(i));
    for (int i = 1; i <= 4; ++i) bmcs["2001:db8:bc::" + std::to_string(i)].fault = busy_bmc;
    for (int i = 1; i <= 4; ++i) add_job(std::to_string(i), "node-" + std::to_string(i));
    start();
    settle();
    EXPECT_EQ(job("2").state, "POWER_OFF");
    EXPECT_EQ(job("3").state, "QUEUED");
    settings.concurrency = 3;
    runner->configure(settings);
    settle();
    EXPECT_EQ(job("3").state, "POWER_OFF");
    EXPECT_EQ(job("4").state, "QUEUED");
}

TEST_F(RunnerTest, AWaitForABootHoldsNoPlace) {
    settings.concurrency = 1;
    for (int i = 1; i <= 3; ++i) add_machine("node-" + std::to_string(i), "2001:db8:bc::" + std::to_string(i));
    for (int i = 1; i <= 3; ++i) add_job(std::to_string(i), "node-" + std::to_string(i));
    bmcs["2001:db8:bc::3"].fault = busy_bmc;
    start();
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_EQ(job("2").state, "BOOT_WAIT");
    EXPECT_EQ(job("3").state, "POWER_OFF");
    EXPECT_EQ(runner->status().as_object().at("waiting").to_number<int>(), 2);
    // The place is taken: what goes on waits for it, without its time running out.
    boot("node-1");
    settle();
    EXPECT_NE(job("1").state, "DONE");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].count("POST", "EjectMedia"), 0);
    bmcs["2001:db8:bc::3"].fault = nullptr;
    change_job("3", [](Job& job) { job.cancel_requested = true; });
    settle();
    EXPECT_EQ(job("1").state, "DONE");
}

TEST_F(RunnerTest, TwoRecordsOfOneEndpointTakeTurns) {
    add_machine("node-1", "2001:db8:bc::1");
    add_machine("node-2", "2001:db8:bc:0::1");
    bmcs["2001:db8:bc::1"].fault = busy_bmc;
    add_job("1", "node-1");
    add_job("2", "node-2");
    start();
    settle();
    EXPECT_EQ(job("1").state, "POWER_OFF");
    EXPECT_EQ(job("2").state, "QUEUED");
}

TEST_F(RunnerTest, TheBreakerOutlivesTheAgent) {
    add_machine("node-1", "2001:db8:bc::1");
    bmcs["2001:db8:bc::1"].fault = [](const Request&) -> std::optional<Result<Response>> {
        return FakeBmc::status(401);
    };
    add_job("1", "node-1");
    start();
    settle();
    EXPECT_EQ(job("1").state, "NEEDS_OPERATOR");
    const auto asked = bmcs["2001:db8:bc::1"].log.size();
    stop();
    change_job("1", [](Job& job) { job.state = "CANCELLED"; });
    add_job("2", "node-1");
    start();
    settle();
    EXPECT_EQ(job("2").state, "NEEDS_OPERATOR");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].log.size(), asked);
}

TEST_F(RunnerTest, TheImagesUrlIsInNoRecordAsItIs) {
    add_machine("node-1", "2001:db8:bc::1");
    settings.image.url = "http://[2001:db8::1]/m/tOkEn/nett.iso";
    add_job("1", "node-1");
    start();
    settle();
    EXPECT_EQ(bmcs["2001:db8:bc::1"].image, settings.image.url);
    for (const Change& change : store.log) EXPECT_THAT(change.value.value_or(""), testing::Not(HasSubstr("/tOkEn/")));
    for (const Event& event : events.published) {
        for (const auto& [name, value] : event.fields) EXPECT_THAT(value, testing::Not(HasSubstr("tOkEn"))) << name;
    }
}

TEST_F(RunnerTest, AListenersImageHasAGrantForTheJobAndNoLonger) {
    add_machine("node-1", "2001:db8:bc::1");
    settings.image = {"", {"http://[2001:db8::1]:8080", "https://[2001:db8::1]:8443"}, "/var/lib/nett/media/nett.iso"};
    bmcs["2001:db8:bc::1"].vendor = "OpenBMC";
    add_job("1", "node-1");
    start();
    settle();
    const std::string url = bmcs["2001:db8:bc::1"].image;
    EXPECT_THAT(url, testing::MatchesRegex("https://\\[2001:db8::1\\]:8443/m/[^/]+/nett.iso"));
    const auto grants = store.list(kMediaGrantKind).value();
    ASSERT_EQ(grants.size(), 2U);
    const MediaGrant grant = decode<MediaGrant>(grants[0].value).value();
    EXPECT_EQ(grant.job, "1");
    EXPECT_EQ(grant.sources.front().to_string(), "2001:db8:bc::1/128");
    EXPECT_GT(grant.expires, clock.system_now() + settings.boot_deadline);
    stop();
    start();
    boot("node-1");
    settle();
    EXPECT_EQ(job("1").state, "DONE");
    EXPECT_TRUE(store.list(kMediaGrantKind).value().empty());
}

TEST_F(RunnerTest, ASiteHasALimitOfItsOwn) {
    settings.sites = {{"east", 1}};
    for (int i = 1; i <= 3; ++i) {
        add_machine("node-" + std::to_string(i), "2001:db8:bc::" + std::to_string(i));
        if (i < 3) settings.bmcs["node-" + std::to_string(i)].site = "east";
        bmcs["2001:db8:bc::" + std::to_string(i)].fault = busy_bmc;
        add_job(std::to_string(i), "node-" + std::to_string(i));
    }
    start();
    settle();
    EXPECT_EQ(job("1").state, "POWER_OFF");
    EXPECT_EQ(job("2").state, "QUEUED");
    EXPECT_EQ(job("3").state, "POWER_OFF");
}

TEST_F(RunnerTest, TheConfiguredProfileCounts) {
    settings.bmcs["node-1"].profile = "supermicro";
    add_machine("node-1", "2001:db8:bc::1");
    bmcs["2001:db8:bc::1"].targets = {"Cd", "UsbCd"};
    add_job("1", "node-1");
    start();
    settle();
    EXPECT_EQ(bmcs["2001:db8:bc::1"].target, "UsbCd");
}

TEST_F(RunnerTest, InventoryFillsWhatTheRecordLacks) {
    add_machine("node-1", "2001:db8:bc::1");
    add_job("1", "node-1", "inventory");
    start();
    settle();
    EXPECT_EQ(job("1").state, "DONE");
    const Machine machine = decode<Machine>((*store.get(kMachineKind, "node-1"))->value).value();
    EXPECT_EQ(machine.uuid, "6e657474-0000-4000-8000-000000000001");
    EXPECT_EQ(machine.serial, "SN1");
    EXPECT_EQ(machine.macs, (std::vector<std::string>{"52:54:00:00:00:01", "52:54:00:00:00:02"}));
    EXPECT_EQ(bmcs["2001:db8:bc::1"].count("POST", "Actions"), 0);
}

TEST_F(RunnerTest, CancelsARunningJob) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    change_job("1", [](Job& job) { job.cancel_requested = true; });
    settle();
    EXPECT_EQ(job("1").state, "CANCELLED");
    EXPECT_FALSE(bmcs["2001:db8:bc::1"].inserted);
}

TEST_F(RunnerTest, LeavesAloneWhatSomebodyElseEnded) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    change_job("1", [](Job& job) { job.state = "CANCELLED"; });
    settle();
    EXPECT_EQ(job("1").state, "CANCELLED");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].count("POST", "Reset"), 0);
}

TEST_F(RunnerTest, GoesOnAfterARestart) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    stop();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    boot("node-1");
    start();
    settle();
    EXPECT_EQ(job("1").state, "DONE");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].power_ons(), 1);
}

TEST_F(RunnerTest, ALateBootEndsAJobThatWaitsForItsOperator) {
    settings.boot_deadline = seconds(60);
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    clock.advance(seconds(61));
    change_job("1", [](Job&) {});  // whatever wakes it
    settle();
    EXPECT_EQ(job("1").state, "NEEDS_OPERATOR");
    boot("node-1");
    settle();
    EXPECT_EQ(job("1").state, "DONE");
}

TEST_F(RunnerTest, StatusSaysWhatRuns) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    const auto status = runner->status().as_object();
    ASSERT_EQ(status.at("running").as_array().size(), 1U);
    EXPECT_EQ(status.at("running").as_array()[0].as_object().at("state").as_string(), "BOOT_WAIT");
}

}  // namespace
}  // namespace nett::redfish
