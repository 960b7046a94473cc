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
    EXPECT_EQ(Calls{"get /frr-interface:lib"}, server_.calls());
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
