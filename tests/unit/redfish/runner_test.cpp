// The driver with a store and BMCs in memory: taking jobs, sessions, certificates, crashes.
#include "plugins/redfish/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/unit/redfish/fake_bmc.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett::redfish {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr const char* kImage = "http://[2001:db8::1]:8080/media/nett.iso";
const std::string kCertificate(64, 'a');

class PlainBox final : public SecretBox {
public:
    Result<std::string> seal(std::string_view text, std::string_view) const override {
        return std::string(text.rbegin(), text.rend());
    }
    Result<std::string> open(std::string_view text, std::string_view) const override {
        return std::string(text.rbegin(), text.rend());
    }
};

class Events final : public EventBus {
public:
    std::vector<Event> published;
    void publish(Event event) override { published.push_back(std::move(event)); }
    Subscription subscribe(std::string, Handler) override { return {}; }
};

class Health final : public HealthRegistry {
public:
    HealthCondition last;
    void report(HealthCondition condition) override { last = std::move(condition); }
    void forget(std::string) override {}
    std::vector<HealthCondition> conditions() const override { return {last}; }
    Subscription observe(std::function<void(const HealthCondition&)>) override { return {}; }
};

// Answers come in a later turn of the loop, as from a network.
class FakeTransport final : public Transport {
public:
    FakeTransport(FakeBmc& bmc, asio::any_io_executor loop, std::string pin)
        : bmc_(bmc), loop_(loop), pin_(std::move(pin)) {}

    Awaitable<Result<Response>> send(Request request) override {
        co_await asio::post(loop_, asio::use_awaitable);
        if (aborted_) co_return fail(Code::kUnavailable, "ended");
        if (!pin_.empty() && pin_ != kCertificate)
            co_return fail(Code::kPermissionDenied, "the BMC's certificate changed");
        EXPECT_FALSE(pin_.empty()) << "a secret is sent to a BMC that nobody knows";
        co_return bmc_.answer(request);
    }
    Awaitable<Result<std::string>> fingerprint() override { co_return kCertificate; }
    void set_pin(std::string sha256) override { pin_ = std::move(sha256); }
    void abort() override { aborted_ = true; }

private:
    FakeBmc& bmc_;
    asio::any_io_executor loop_;
    std::string pin_;
    bool aborted_ = false;
};

// Takes no reset now, and says so.
std::optional<Result<Response>> busy_bmc(const Request& request) {
    if (request.target.find("ComputerSystem.Reset") == std::string::npos) return std::nullopt;
    return FakeBmc::status(503);
}

class RunnerTest : public testing::Test {
protected:
    void SetUp() override { set_log_level(LogLevel::kError); }
    void TearDown() override { stop(); }

    void add_machine(const std::string& name, const std::string& address) {
        Machine machine;
        machine.name = machine.bmc = name;
        store.put(put_of(machine));
        Bmc bmc;
        bmc.name = name;
        bmc.endpoint = "https://[" + address + "]";
        bmc.username = "admin";
        bmc.sealed_password = "terc3s";
        store.put(put_of(bmc));
    }

    void add_job(const std::string& id, const std::string& machine, const std::string& type = "provision") {
        Job job;
        job.id = id;
        job.type = type;
        job.machine = machine;
        job.state = "QUEUED";
        store.put(put_of(job));
    }

    void start() {
        Services services{loop.get_executor(), clock, events, health, store, secrets};
        runner =
            std::make_unique<Runner>(services, [this](ClientSettings settings) -> Result<std::unique_ptr<Transport>> {
                FakeBmc& bmc = bmcs[settings.origin.address.to_string()];
                return std::make_unique<FakeTransport>(bmc, loop.get_executor(), settings.pinned_sha256);
            });
        ASSERT_TRUE(runner->start(settings));
    }

    // Lets everything run that can, without waiting for a timer.
    void settle() {
        loop.restart();
        loop.poll();
    }

    void stop() {
        if (!runner) return;
        loop.restart();
        asio::co_spawn(loop, runner->stop(clock.steady_now() + seconds(1)), asio::detached);
        loop.run();
        runner.reset();
    }

    void boot(const std::string& name) {
        BootHistory history;
        if (const auto known = *store.get(kBootHistoryKind, name)) history = decode<BootHistory>(known->value).value();
        history.machine = name;
        ++history.boots;
        store.put(put_of(history));
    }

    Job job(const std::string& id) { return decode<Job>((*store.get(kJobKind, job_key(id)))->value).value(); }

    void change_job(const std::string& id, const std::function<void(Job&)>& change) {
        Job changed = job(id);
        change(changed);
        store.put(put_of(changed));
    }

    std::map<std::string, FakeBmc> bmcs;
    asio::io_context loop;
    ManualClock clock;
    test::MemoryStore store;
    PlainBox secrets;
    Events events;
    Health health;
    RunnerSettings settings{8, {Prefix6::parse("2001:db8:bc::/64").value()}, {kImage, {}, ""}, seconds(1800), {}, {}};
    std::unique_ptr<Runner> runner;
};

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
