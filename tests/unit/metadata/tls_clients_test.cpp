// Client certificates: known again, resumed, revoked, of the old CA and of the new one.
#include "tests/unit/metadata/tls_fixture.hpp"

namespace nett::metadata::test {
namespace {

using Names = std::vector<std::string>;

class TlsClients : public TlsFixture {};

TEST_F(TlsClients, AreNamedEachTimeWhetherVerifiedOrKnownAgain) {
    const auto tls = loaded();
    const auto other = make_client(ca, "b.boot.example");
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(handshake({&client}, *tls).common_names, Names{"a.boot.example"});
        EXPECT_EQ(handshake({&other}, *tls).common_names, Names{"b.boot.example"});
    }
}

TEST_F(TlsClients, OfAForgedCaAreRefusedThoughTheGenuineOneIsKnown) {
    const auto tls = loaded();
    EXPECT_TRUE(handshake({&client}, *tls).finished);
    const auto forger = make_ca("Platform Root");
    const auto forged = make_client(forger, "a.boot.example");
    EXPECT_FALSE(handshake({&forged}, *tls).finished);
}

TEST_F(TlsClients, ResumeWithTheSubjectOfTheirCertificate) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto tls = loaded();
        const auto first = handshake({&client, version}, *tls);
        EXPECT_FALSE(first.resumed);
        const auto second = handshake({&client, version, nullptr, {}, first.session}, *tls);
        EXPECT_TRUE(second.resumed);
        EXPECT_EQ(second.common_names, Names{"a.boot.example"});
    }
}

TEST_F(TlsClients, CannotResumeUnderANewContext) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto before = handshake({&client, version});
        const auto after = handshake({&client, version, nullptr, {}, before.session});
        EXPECT_TRUE(after.finished);
        EXPECT_FALSE(after.resumed);
    }
}

TEST_F(TlsClients, HaveNoNameWhenTheResumedCertificateHasExpiredMeanwhile) {
    const auto tls = loaded();
    const auto first = handshake({&client, TLS1_2_VERSION}, *tls);
    const auto later = std::chrono::system_clock::now() + std::chrono::hours(3);  // it is valid for one more
    const auto second = handshake({&client, TLS1_2_VERSION, nullptr, {}, first.session}, *tls, later);
    EXPECT_TRUE(second.resumed);
    // The handshake itself goes by the machine's clock; the verifier's memory by the one it is given.
    EXPECT_EQ(tls->verifier->recall(client.certificate(), later).error().code, Code::kUnauthenticated);
}

TEST_F(TlsClients, AreRefusedWhenRevoked) {
    const auto other = make_client(ca, "b.boot.example");
    files_.client_crls = {pem.write("crl.pem", make_crl_pem(ca, {&other}))};
    EXPECT_TRUE(handshake({&client}).finished);
    const auto refused = handshake({&other});
    EXPECT_FALSE(refused.finished);
    EXPECT_EQ(refused.refusal, "certificate revoked");
    const auto tls = loaded();
    ASSERT_EQ(tls->revocations.size(), 1U);
    EXPECT_EQ(tls->revocations[0].revoked, 1);
    EXPECT_EQ(tls->revocations[0].issuer, "CN=Platform Root");
}

TEST_F(TlsClients, AreRefusedWhenTheListIsStaleOrOfAnotherCa) {
    files_.client_crls = {pem.write("crl.pem", make_crl_pem(ca, {}, 1800))};
    EXPECT_EQ(handshake({&client}).refusal, "CRL has expired");
    const auto other = make_ca("Another Root");
    files_.client_crls = {pem.write("crl.pem", make_crl_pem(other, {}))};
    EXPECT_EQ(handshake({&client}).refusal, "unable to get certificate CRL");
}

TEST_F(TlsClients, OfTwoCasAreServedWhileTheCaIsReplaced) {
    const auto next = make_ca("Next Root");
    const auto renewed = make_client(next, "a.boot.example");
    files_.client_ca = pem.write("both.pem", ca.certificate_pem() + next.certificate_pem());
    EXPECT_TRUE(handshake({&client}).finished);
    EXPECT_TRUE(handshake({&renewed}).finished);
    EXPECT_EQ(loaded()->authorities.size(), 2U);
    files_.client_ca = pem.write("next.pem", next.certificate_pem());
    EXPECT_FALSE(handshake({&client}).finished);
    EXPECT_TRUE(handshake({&renewed}).finished);
}

TEST_F(TlsClients, NeedARealRevocationList) {
    files_.client_crls = {pem.write("crl.pem", ca.certificate_pem())};
    const auto loaded = load_tls(files_);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().to_string().find("no PEM revocation list"), std::string::npos);
}

}  // namespace
}  // namespace nett::metadata::test
