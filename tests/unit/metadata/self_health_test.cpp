// What the service says of itself: its own request, its disk, its state.
#include "plugins/metadata/disk_health.hpp"
#include "plugins/metadata/self_identity.hpp"
#include "plugins/metadata/self_probe.hpp"
#include "tests/unit/metadata/tls_fixture.hpp"

namespace nett::metadata::test {
namespace {

using Kind = SelfProbeResult::Kind;

class SelfProbeTls : public TlsFixture {
protected:
    HandshakeOutcome as_probe(const TlsContext& tls, int version) {
        const Ctx context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
        SSL_CTX_set_min_proto_version(context.get(), version);
        SSL_CTX_set_max_proto_version(context.get(), version);
        SSL_CTX_use_certificate(context.get(), self_identity().certificate.get());
        SSL_CTX_use_PrivateKey(context.get(), self_identity().key.get());
        const Ssl client(SSL_new(context.get()), SSL_free);
        const Ssl peer(SSL_new(tls.context.get()), SSL_free);
        return exchange(client.get(), peer.get(), tls, std::chrono::system_clock::now());
    }
};

TEST_F(SelfProbeTls, IsLetInByEveryContextOfThisProcess) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto outcome = as_probe(*loaded(), version);
        EXPECT_TRUE(outcome.finished) << outcome.server_error;
        EXPECT_EQ(outcome.common_names, std::vector<std::string>{"nett self-probe"});
    }
}

TEST_F(SelfProbeTls, ItsNameAloneIsNotLetIn) {
    const auto forger = make_ca("nett self-probe");
    const auto forged = make_client(forger, "nett self-probe");
    EXPECT_FALSE(handshake({&forged}, *loaded()).finished);
}

TEST(SelfProbe, FailsAfterFailuresInARow) {
    const SelfProbeResult failed{Kind::kFailed, "connect: Connection refused"};
    EXPECT_EQ(HealthState::kDegraded, answer_condition(failed, 1).state);
    EXPECT_EQ(HealthState::kFailed, answer_condition(failed, kSelfProbeFall).state);
    EXPECT_EQ("connect: Connection refused", answer_condition(failed, kSelfProbeFall).message);
    EXPECT_EQ(HealthScope::kLocal, answer_condition(failed, kSelfProbeFall).scope);
    EXPECT_EQ(HealthState::kOk, answer_condition({Kind::kAnswered, "answers"}, 0).state);
    EXPECT_EQ(HealthState::kOk, answer_condition({Kind::kNotHere, "not asked"}, 0).state);
}

TEST(DiskHealth, BySpace) {
    const auto state = [](DiskSpace space) { return disk_condition(space).state; };
    EXPECT_EQ(HealthState::kOk, state({kDiskLow, 0, false, false}));
    EXPECT_EQ(HealthState::kDegraded, state({kDiskLow - 1, 5, true, false}));
    EXPECT_EQ(HealthState::kDegraded, state({kDiskFull, 5, true, false}));
    EXPECT_EQ(HealthState::kFailed, state({kDiskFull - 1, 5, true, false}));
    EXPECT_EQ(HealthState::kFailed, state({kDiskLow, 0, true, false}));
    EXPECT_EQ(HealthState::kFailed, state({kDiskLow, 5, true, true}));
    EXPECT_EQ(HealthState::kFailed, disk_condition(fail(Code::kUnavailable, "no such disk")).state);
}

}  // namespace
}  // namespace nett::metadata::test
