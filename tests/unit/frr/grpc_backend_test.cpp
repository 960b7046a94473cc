#include <algorithm>

#include <gtest/gtest.h>

#include "agent/frr/backend.hpp"
#include "tests/unit/frr/northbound_server.hpp"

namespace nett {
namespace {

using Calls = std::vector<std::string>;

class GrpcBackendTest : public testing::Test {
protected:
    PrefixListChange gate(bool foreign) {
        PrefixListChange change;
        change.put = {{"GATE", 5, true, Prefix6::parse("2001:db8:ffff::1/128").value()}};
        if (foreign) change.remove = {{"GATE", 5}};
        return change;
    }
    test::NorthboundServer server_;
    std::shared_ptr<FrrBackend> backend_ = make_grpc_backend(server_.target());
};

TEST_F(GrpcBackendTest, KnowsTheHardenedModuleByItsVersion) {
    EXPECT_TRUE(backend_->probe_hardened().value());
    server_.set_version("10.3");
    EXPECT_FALSE(backend_->probe_hardened().value());
}

TEST_F(GrpcBackendTest, ReadsOneNamedNode) {
    server_.answer_get(
        R"({"frr-interface:lib":{"interface":[{"name":"swp1","frr-zebra:zebra":{"ipv6-router-advertisements":{
        "send-advertisements":true,"default-lifetime":30}}}]}})");
    EXPECT_TRUE(backend_->read_ra().value().at("swp1").send);
    EXPECT_EQ((Calls{"state /frr-backend:clients", "get /frr-interface:lib"}), server_.calls());
}

class GrpcBackendReading : public GrpcBackendTest {
protected:
    void SetUp() override {
        server_.answer_state(R"({"running-config-version":"1"})");
        server_.answer_get(advertising("swp1"));
        ASSERT_TRUE(backend_->probe_hardened());
        ASSERT_TRUE(backend_->read_ra());
        server_.forget_calls();
    }
    static std::string advertising(const std::string& port) {
        return R"({"frr-interface:lib":{"interface":[{"name":")" + port +
               R"(","frr-zebra:zebra":{"ipv6-router-advertisements":{"send-advertisements":true}}}]}})";
    }
    std::string ports() {
        std::string names;
        auto table = backend_->read_ra();
        if (!table) return table.error().to_string();
        for (const auto& [name, actual] : *table) names += name;
        return names;
    }
    const Calls counters_{"state /frr-backend:clients"};
    const Calls both_{"state /frr-backend:clients", "get /frr-interface:lib"};
};

TEST_F(GrpcBackendReading, IsCheapWhileNothingHasBeenCommitted) {
    EXPECT_EQ("swp1", ports());
    EXPECT_EQ(counters_, server_.calls());
}

TEST_F(GrpcBackendReading, SeesWhatOthersCommitted) {
    server_.answer_state(R"({"running-config-version":"2"})");
    server_.answer_get(advertising("swp2"));
    EXPECT_EQ("swp2", ports());
    EXPECT_EQ(both_, server_.calls());
}

TEST_F(GrpcBackendReading, LooksAgainAfterItsOwnCommit) {
    RaChange change;
    change.clear = {"swp1"};
    ASSERT_TRUE(backend_->apply_ra(change));
    server_.forget_calls();
    EXPECT_EQ("swp1", ports());
    EXPECT_EQ(both_, server_.calls());
}

TEST_F(GrpcBackendReading, LooksAgainAfterARestart) {
    server_.stop();
    server_.answer_get("");
    server_.start();
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!backend_->read_ra() && std::chrono::steady_clock::now() < end) {
    }
    EXPECT_EQ("", ports());
}

TEST_F(GrpcBackendReading, LooksInAnyCaseOnceInAWhile) {
    for (int i = 0; i < 30; ++i) EXPECT_EQ("swp1", ports());
    auto calls = server_.calls();
    EXPECT_EQ(1, std::count(calls.begin(), calls.end(), "get /frr-interface:lib"));
}

TEST_F(GrpcBackendReading, ReadsEverythingOfADaemonThatDoesNotCount) {
    server_.answer_state("");
    EXPECT_EQ("swp1", ports());
    EXPECT_EQ("swp1", ports());
    EXPECT_EQ((Calls{"state /frr-backend:clients", "get /frr-interface:lib", "get /frr-interface:lib"}),
              server_.calls());
}

TEST_F(GrpcBackendTest, ANodeThatDoesNotExistIsEmpty) {
    EXPECT_TRUE(backend_->read_ra().value().empty());
    EXPECT_TRUE(backend_->read_prefix_lists({"GATE"}).value().empty());
}

TEST_F(GrpcBackendTest, CommitsAFreshCandidateAtOnceAndDeletesIt) {
    ASSERT_TRUE(backend_->apply_prefix_lists(gate(true)));
    EXPECT_EQ((Calls{"create", "edit -1", "merge", "commit all", "delete 7"}), server_.calls());
}

TEST_F(GrpcBackendTest, NoChangeIsSuccess) {
    server_.answer_commit({grpc::StatusCode::ABORTED, "No changes to apply"});
    EXPECT_TRUE(backend_->apply_prefix_lists(gate(false)));
}

TEST_F(GrpcBackendTest, ARefusedCommitDeletesItsCandidateToo) {
    server_.answer_commit({grpc::StatusCode::INVALID_ARGUMENT, "must not be less"});
    auto result = backend_->apply_prefix_lists(gate(false));
    ASSERT_FALSE(result);
    EXPECT_EQ(Code::kInvalidArgument, result.error().code);
    EXPECT_EQ("Commit: must not be less", result.error().to_string());
    EXPECT_EQ("delete 7", server_.calls().back());
}

TEST_F(GrpcBackendTest, ADaemonThatIsAwayIsUnavailableAndItsReturnIsNoticed) {
    server_.stop();
    auto away = backend_->read_ra();
    ASSERT_FALSE(away);
    EXPECT_EQ(Code::kUnavailable, away.error().code);
    server_.start();
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    bool back = false;
    while (!back && std::chrono::steady_clock::now() < end) back = backend_->read_ra().has_value();
    EXPECT_TRUE(back);
}

TEST_F(GrpcBackendTest, CancelEndsAllCalls) {
    backend_->cancel();
    auto result = backend_->read_ra();
    ASSERT_FALSE(result);
    EXPECT_EQ(Code::kUnavailable, result.error().code);
}

}  // namespace
}  // namespace nett
