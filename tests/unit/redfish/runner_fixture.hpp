// The driver of jobs with a store and BMCs in memory: what its tests have in common.
#pragma once

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "plugins/redfish/runner.hpp"
#include "tests/unit/redfish/fake_bmc.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett::redfish {
using std::chrono::seconds;

inline constexpr const char* kImage = "http://[2001:db8::1]:8080/media/nett.iso";
inline const std::string kCertificate(64, 'a');

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
inline std::optional<Result<Response>> busy_bmc(const Request& request) {
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
        Services services{loop.get_executor(), clock, events, health, store, secrets, server};
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
    std::string server;  // this agent's name, where several share the state
    RunnerSettings settings{8, {Prefix6::parse("2001:db8:bc::/64").value()}, {kImage, {}, ""}, seconds(1800), {}, {}};
    std::unique_ptr<Runner> runner;
};

}  // namespace nett::redfish
