// The driver's sessions with BMCs: logins, certificates, passwords.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/redfish/runner_fixture.hpp"

namespace nett::redfish {
namespace {

using testing::HasSubstr;

TEST_F(RunnerTest, GivesItsSessionsBackAndSendsNoPasswordElsewhere) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    FakeBmc& bmc = bmcs["2001:db8:bc::1"];
    EXPECT_EQ(bmc.count("DELETE", "Sessions/1"), 1) << "a wait for a boot holds no session";
    boot("node-1");
    settle();
    EXPECT_EQ(bmc.count("POST", "SessionService/Sessions"), 2);
    EXPECT_EQ(bmc.count("DELETE", "Sessions/2"), 1);
    EXPECT_EQ(bmc.count("POST", "", "s3cret"), 2);
    EXPECT_THAT(job("1").progress, testing::Not(HasSubstr("s3cret")));
    EXPECT_THAT(job("1").progress, testing::Not(HasSubstr("token-")));
}

TEST_F(RunnerTest, PinsTheCertificateAtFirstUse) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    EXPECT_EQ(decode<Bmc>((*store.get(kBmcKind, "node-1"))->value)->pinned_sha256, kCertificate);
}

TEST_F(RunnerTest, StopsAtAChangedCertificate) {
    add_machine("node-1", "2001:db8:bc::1");
    Bmc bmc = decode<Bmc>((*store.get(kBmcKind, "node-1"))->value).value();
    bmc.pinned_sha256 = std::string(64, 'b');
    store.put(put_of(bmc));
    add_job("1", "node-1");
    start();
    settle();
    EXPECT_EQ(job("1").state, "NEEDS_OPERATOR");
    EXPECT_THAT(job("1").message, HasSubstr("certificate changed"));
    EXPECT_TRUE(bmcs["2001:db8:bc::1"].log.empty());
    EXPECT_EQ(health.last.state, HealthState::kDegraded);
}

TEST_F(RunnerTest, LogsInAgainOnceAndThenNeverAgain) {
    add_machine("node-1", "2001:db8:bc::1");
    bmcs["2001:db8:bc::1"].fault = [](const Request& request) -> std::optional<Result<Response>> {
        if (request.target.find("Sessions") != std::string::npos) return std::nullopt;
        return FakeBmc::status(401);
    };
    add_job("1", "node-1");
    start();
    settle();
    FakeBmc& bmc = bmcs["2001:db8:bc::1"];
    EXPECT_EQ(job("1").state, "NEEDS_OPERATOR");
    const int logins = bmc.count("POST", "Sessions");
    EXPECT_LE(logins, 2);
    // The breaker: another job with the same credentials does not even try.
    change_job("1", [](Job& job) { job.state = "CANCELLED"; });
    add_job("2", "node-1");
    settle();
    EXPECT_EQ(job("2").state, "NEEDS_OPERATOR");
    EXPECT_THAT(job("2").message, HasSubstr("lock accounts"));
    EXPECT_EQ(bmc.count("POST", "Sessions"), logins);
    change_job("2", [](Job& job) { job.cancel_requested = true; });
    settle();
    EXPECT_EQ(job("2").state, "CANCELLED");
}

TEST_F(RunnerTest, RenewsASessionThatEnded) {
    add_machine("node-1", "2001:db8:bc::1");
    bmcs["2001:db8:bc::1"].fault = [told = false](const Request& request) mutable -> std::optional<Result<Response>> {
        if (told || request.body.find("ForceOff") == std::string::npos) return std::nullopt;
        told = true;
        return FakeBmc::status(401);
    };
    start();
    add_job("1", "node-1");
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].count("POST", "Sessions"), 2);
}

TEST_F(RunnerTest, UsesBasicWhereThereAreNoSessions) {
    add_machine("node-1", "2001:db8:bc::1");
    bmcs["2001:db8:bc::1"].has_sessions = false;
    start();
    add_job("1", "node-1");
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].log.back().authorization, "Basic YWRtaW46czNjcmV0");
}

TEST_F(RunnerTest, DeletesTheSessionThatACrashLeftBehind) {
    add_machine("node-1", "2001:db8:bc::1");
    start();
    add_job("1", "node-1");
    settle();
    stop();
    change_job("1", [](Job& job) {
        Progress progress = decode_progress(job.progress).value();
        progress.session = "/redfish/v1/SessionService/Sessions/77";
        job.progress = encode_progress(progress);
    });
    boot("node-1");
    start();
    settle();
    EXPECT_EQ(job("1").state, "DONE");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].count("DELETE", "Sessions/77"), 1);
}

}  // namespace
}  // namespace nett::redfish
