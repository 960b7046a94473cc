#include "agent/fabric/reporter.hpp"

#include <deque>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett {
namespace {

class LastHealth final : public HealthRegistry {
public:
    void report(HealthCondition condition) override { last = std::move(condition); }
    void forget(std::string) override {}
    std::vector<HealthCondition> conditions() const override { return {}; }
    Subscription observe(std::function<void(const HealthCondition&)>) override { return {}; }
    HealthCondition last;
};

// Answers what the test has queued; with nothing queued a report hangs until it is cancelled.
struct Far {
    explicit Far(asio::io_context& loop) : hang(loop, SteadyTime::max()) {}
    std::deque<Result<bool>> answers;
    std::vector<std::string> got;  // "full 2 swp1 swp2", "same 2"
    asio::steady_timer hang;
};

class FakeUplink final : public FabricUplink {
public:
    explicit FakeUplink(Far& far) : far_(far) {}
    Awaitable<Result<bool>> report(FabricReport report) override {
        auto text = fmt::format("{} {}", report.full ? "full" : "same", report.generation);
        for (const auto& prefix : report.prefixes) text += " " + prefix.port;
        far_.got.push_back(text);
        if (far_.answers.empty()) {
            boost::system::error_code ignored;
            co_await far_.hang.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            co_return fail(Code::kAborted, "cancelled");
        }
        auto answer = far_.answers.front();
        far_.answers.pop_front();
        co_return answer;
    }
    void cancel() override { far_.hang.cancel(); }

private:
    Far& far_;
};

class Reporter : public testing::Test {
protected:
    void TearDown() override {
        bool stopped = false;
        asio::co_spawn(loop_, reporter_->stop(), [&](const std::exception_ptr&) { stopped = true; });
        loop_.restart();
        loop_.run();  // ends by itself: nothing outlives stop()
        EXPECT_TRUE(stopped);
    }
    static std::vector<PortPrefix> ports(std::vector<std::string> names) {
        std::vector<PortPrefix> out;
        for (auto& name : names) out.push_back({name, Prefix6::parse("2001:db8::/64").value(), {}});
        return out;
    }
    void settle() {
        loop_.restart();
        while (loop_.poll() > 0) {
        }
    }
    void run_until_reports(std::size_t count) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        loop_.restart();
        while (far_.got.size() < count && std::chrono::steady_clock::now() < end) {
            loop_.run_one_for(std::chrono::seconds(1));
        }
        settle();
    }

    asio::io_context loop_;
    RealClock clock_;
    LastHealth health_;
    Far far_{loop_};
    std::shared_ptr<FabricReporter> reporter_ = std::make_shared<FabricReporter>(
        loop_.get_executor(), clock_, health_, "[::1]:1", "run-1", std::make_unique<FakeUplink>(far_));
};

TEST_F(Reporter, NothingIsReportedBeforeTheFirstSetIsKnown) {
    reporter_->start();
    settle();
    EXPECT_TRUE(far_.got.empty());
    EXPECT_FALSE(reporter_->status().connected);
}

TEST_F(Reporter, TheWholeSetIsReportedAtOnceAndAgainWhenItChanges) {
    far_.answers = {false, false};
    reporter_->start();
    settle();
    reporter_->set(1, ports({"swp1"}));
    settle();
    EXPECT_TRUE(reporter_->status().connected);
    reporter_->set(2, {});
    settle();
    EXPECT_EQ(far_.got, (std::vector<std::string>{"full 1 swp1", "full 2"}));
}

TEST_F(Reporter, AfterAFailureTheWholeSetAsItIsThenIsReported) {
    far_.answers = {fail(Code::kUnavailable, "cut"), false};
    reporter_->set(1, ports({"swp1"}));
    reporter_->start();
    settle();
    EXPECT_EQ(health_.last.state, HealthState::kDegraded);
    reporter_->set(2, ports({"swp1", "swp2"}));
    reporter_->set(3, ports({"swp2"}));
    run_until_reports(2);
    EXPECT_EQ(far_.got, (std::vector<std::string>{"full 1 swp1", "full 3 swp2"}));
    EXPECT_EQ(health_.last.state, HealthState::kOk);
}

TEST_F(Reporter, AnUpstreamThatNeverTakesTheSetIsAnErrorAndNoBusyLoop) {
    far_.answers = {true, true};
    reporter_->set(1, ports({"swp1"}));
    reporter_->start();
    settle();
    EXPECT_EQ(far_.got.size(), 1U);
    EXPECT_FALSE(reporter_->status().connected);
}

TEST_F(Reporter, StopEndsAReportThatHangs) {
    reporter_->set(1, ports({"swp1"}));
    reporter_->start();
    settle();
    EXPECT_EQ(far_.got.size(), 1U);
}

}  // namespace
}  // namespace nett
