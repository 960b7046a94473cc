// Which directories are watched, which files are taken over, and what health says of them.
#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "plugins/metadata/file_watch.hpp"
#include "plugins/metadata/health_checks.hpp"
#include "plugins/metadata/tls_status.hpp"
#include "tests/unit/metadata/tls_fixture.hpp"

namespace nett::metadata::test {
namespace {

class TlsReload : public TlsFixture {};

TEST_F(TlsReload, WatchesTheFoldersOfEachLinkOnTheWay) {
    namespace fs = std::filesystem;
    const fs::path root = pem.path("links");
    fs::create_directories(root / "one");
    fs::create_directories(root / "etc");
    fs::create_directory_symlink("one", root / "data");
    fs::create_symlink("../data/server.pem", root / "etc" / "server.pem");
    const auto found = directories_of({(root / "etc" / "server.pem").string(), "/absent/x.pem"});
    const auto has = [&](const fs::path& path) { return std::count(found.begin(), found.end(), path.string()) == 1; };
    EXPECT_TRUE(has(root / "etc"));  // the link to the file
    EXPECT_TRUE(has(root));          // the link to the folder
    EXPECT_TRUE(has(root / "one"));  // the file
    EXPECT_TRUE(has("/absent"));
}

TEST_F(TlsReload, EndsWithLinksThatGoRound) {
    namespace fs = std::filesystem;
    fs::create_symlink("b", pem.path("a"));
    fs::create_symlink("a", pem.path("b"));
    EXPECT_FALSE(directories_of({pem.path("a")}).empty());
}

TEST_F(TlsReload, TakesOverWhatIsValidNow) {
    const auto tls = loaded();
    const auto& one = tls->certificate;
    EXPECT_TRUE(check_usable(*tls, one.not_before + std::chrono::seconds(1)));
    EXPECT_EQ(check_usable(*tls, one.not_after + std::chrono::seconds(1)).error().code, Code::kInvalidArgument);
    EXPECT_EQ(check_usable(*tls, one.not_before - std::chrono::seconds(1)).error().code, Code::kFailedPrecondition);
}

TEST_F(TlsReload, RefusedFilesDegradeWithoutEffectOnTheAnnouncement) {
    TlsReloads reloads;
    EXPECT_EQ(certificate_files_condition(reloads).state, HealthState::kOk);
    reloads.error = "server.key: does not belong";
    EXPECT_EQ(certificate_files_condition(reloads).state, HealthState::kDegraded);
    EXPECT_EQ(certificate_files_condition(reloads).scope, HealthScope::kInfo);
}

TEST_F(TlsReload, TrustFailsWhenNobodyCouldBeLetIn) {
    files_.client_crls = {pem.write("crl.pem", make_crl_pem(ca, {}, 30L * 24 * 3600))};
    const auto tls = loaded();
    const auto due = tls->revocations[0].next;
    const auto state = [&](SystemTime now) { return client_trust_condition(*tls, now).state; };
    EXPECT_EQ(state(due - std::chrono::hours(1)), HealthState::kFailed);  // the CA of this test lives two hours
    const_cast<TlsContext&>(*tls).authorities[0].not_after = due + std::chrono::hours(24 * 365);
    EXPECT_EQ(state(due - std::chrono::hours(25)), HealthState::kOk);
    EXPECT_EQ(state(due - std::chrono::hours(23)), HealthState::kDegraded);
    EXPECT_EQ(state(due + std::chrono::hours(1)), HealthState::kFailed);
}

TEST_F(TlsReload, ShowsCertificatesReloadsAndHandshakes) {
    const auto tls = loaded();
    TlsReloads reloads;
    reloads.error = "server.key: broken";
    Counters counters;
    counters.refusals.count("no shared cipher");
    counters.refusals.count("no shared cipher");
    const TlsView view{*tls, reloads, counters, tls->certificate.not_after - std::chrono::hours(49)};
    const auto status = tls_status_of(view);
    EXPECT_EQ(status.at("certificate").at("subject").as_string(), "CN=metadata");
    EXPECT_EQ(status.at("certificate").at("names").at(0).as_string(), "2001:db8:ffff::1");
    EXPECT_EQ(status.at("certificate").at("days_left").as_int64(), 2);
    EXPECT_EQ(status.at("client_ca").at("certificates").at(0).at("subject").as_string(), "CN=Platform Root");
    EXPECT_EQ(status.at("handshakes").at("refusals").at("no shared cipher").as_uint64(), 2U);
    EXPECT_NE(tls_status_text(view).find("server.key: broken"), std::string::npos);
}

TEST(ReasonCounter, CountsTheFirstReasonsApartAndTheRestTogether) {
    ReasonCounter counter;
    for (std::size_t i = 0; i < kMaxRefusalReasons + 10; ++i) counter.count(std::to_string(i));
    const auto reasons = counter.reasons();
    EXPECT_EQ(reasons.size(), kMaxRefusalReasons + 1);
    EXPECT_EQ(reasons.at("other reasons"), 10U);
}

}  // namespace
}  // namespace nett::metadata::test
