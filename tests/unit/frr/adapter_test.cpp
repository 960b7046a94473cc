#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include "agent/frr/frr.hpp"
#include "tests/unit/frr/northbound_server.hpp"
#include "tests/unit/support/fake_fabric.hpp"

namespace nett {
namespace {

class FrrAdapterTest : public testing::Test {
protected:
    void SetUp() override { adapter_ = make_frr(loop_.get_executor(), clock_, events_, health_, settings_); }
    bool run_until(const std::function<bool()>& done) {
        auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!done() && std::chrono::steady_clock::now() < end) loop_.run_one_for(std::chrono::milliseconds(200));
        return done();
    }
    bool in_sync() { return adapter_->status(FrrDaemon::kBgpd).in_sync; }
    std::vector<PrefixListEntry> gate(bool permit) {
        return {{"GATE", 5, permit, Prefix6::parse("2001:db8:ffff::1/128").value()}};
    }
    static std::string stored(const char* action) {
        return std::string(
                   R"({"frr-filter:prefix-list":[{"type":"ipv6","name":"GATE","entry":[{"sequence":5,"action":")") +
               action + R"(","ipv6-prefix":"2001:db8:ffff::1/128"}]}]})";
    }
    std::size_t count(const std::string& call) {
        auto calls = server_.calls();
        return static_cast<std::size_t>(std::count(calls.begin(), calls.end(), call));
    }

    test::NorthboundServer server_;
    FrrSettings settings_{false, "", server_.target(), "/bin/echo", {"--vty_socket", "/run/frr"}};
    asio::io_context loop_;
    asio::executor_work_guard<asio::io_context::executor_type> work_guard_{loop_.get_executor()};
    ManualClock clock_;
    test::FakeEvents events_;
    test::FakeHealth health_;
    std::unique_ptr<FrrAdapter> adapter_;
};

TEST_F(FrrAdapterTest, LeavesDaemonsAloneThatNobodyNeeds) {
    adapter_->declare_prefix_list("a", {});
    loop_.poll();
    EXPECT_TRUE(health_.conditions().empty());
    EXPECT_TRUE(server_.calls().empty());
}

TEST_F(FrrAdapterTest, ProgramsTellsAndReports) {
    int told = 0;
    auto subscription = adapter_->observe([&](FrrDaemon daemon) { told += daemon == FrrDaemon::kBgpd ? 1 : 0; });
    adapter_->declare_prefix_list("a", gate(true));
    ASSERT_TRUE(run_until([&] { return in_sync(); }));
    EXPECT_EQ(1u, count("commit all"));
    EXPECT_EQ(1, told);
    EXPECT_EQ(HealthState::kOk, health_.state("frr", "bgpd"));
    EXPECT_EQ(std::vector<std::string>{"frr.connected"}, events_.types());
}

TEST_F(FrrAdapterTest, AStockModuleWorksAndIsNamed) {
    server_.set_version("10.3");
    adapter_->declare_prefix_list("a", gate(true));
    ASSERT_TRUE(run_until([&] { return in_sync(); }));
    EXPECT_FALSE(adapter_->status(FrrDaemon::kBgpd).hardened);
    EXPECT_EQ(HealthState::kDegraded, health_.state("frr", "bgpd"));
}

TEST_F(FrrAdapterTest, AnAbsentDaemonIsAFailedConditionWithARemedy) {
    server_.stop();
    adapter_->declare_prefix_list("a", gate(true));
    ASSERT_TRUE(run_until([&] { return !health_.conditions().empty(); }));
    HealthCondition condition = health_.conditions()[0];
    EXPECT_EQ(HealthState::kFailed, condition.state);
    EXPECT_NE("", condition.remedy);
    server_.start();
    EXPECT_TRUE(run_until([&] { return in_sync(); }));
    EXPECT_EQ(HealthState::kOk, health_.state("frr", "bgpd"));
}

TEST_F(FrrAdapterTest, WhatIsReleasedInAHurryIsProgrammedFirst) {
    server_.answer_get(stored("permit"));
    adapter_->declare_prefix_list("a", gate(true));
    ASSERT_TRUE(run_until([&] { return in_sync(); }));
    EXPECT_EQ(0u, count("commit all"));
    adapter_->declare_prefix_list("a", gate(false));
    adapter_->release("a");
    adapter_->stop();
    EXPECT_EQ(1u, count("commit all"));
}

TEST_F(FrrAdapterTest, AReleasedOwnersEntriesStay) {
    server_.answer_get(stored("permit"));
    adapter_->declare_prefix_list("a", gate(true));
    ASSERT_TRUE(run_until([&] { return in_sync(); }));
    adapter_->release("a");
    EXPECT_TRUE(health_.conditions().empty());
    adapter_->stop();
    EXPECT_EQ(0u, count("commit all"));
    EXPECT_EQ(0u, count("edit -1"));
}

TEST_F(FrrAdapterTest, AnEntryThatIsNoLongerDeclaredIsDeleted) {
    server_.answer_get(stored("permit"));
    adapter_->declare_prefix_list("a", gate(true));
    ASSERT_TRUE(run_until([&] { return in_sync(); }));
    adapter_->declare_prefix_list("a", {});
    ASSERT_TRUE(run_until([&] { return count("edit -1") > 0; }));
}

TEST_F(FrrAdapterTest, RunsShowCommandsThroughVtysh) {
    std::string output;
    bool done = false;
    auto show = [&]() -> Awaitable<void> {
        auto result = co_await adapter_->show_json("show bgp ipv6 unicast");
        output = result ? *result : result.error().to_string();
        result = co_await adapter_->show_text("show running-config");
        output += result ? *result : result.error().to_string();
        done = true;
    };
    asio::co_spawn(loop_, show(), asio::detached);
    ASSERT_TRUE(run_until([&] { return done; }));
    EXPECT_EQ("--vty_socket /run/frr -c show bgp ipv6 unicast json\n--vty_socket /run/frr -c show running-config\n",
              output);
}

}  // namespace
}  // namespace nett
