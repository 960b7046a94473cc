#include "plugins/bgp-anycast/service.hpp"

#include <boost/json.hpp>

#include "tests/unit/bgp-anycast/fixture.hpp"
#include "tests/unit/support/fake_fabric.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett::anycast {
namespace {

using Words = std::vector<std::string>;

const std::string kConfig =
    " address 2001:db8:ffff::1/128\n gate prefix-list NETT-ANYCAST sequence 5\n require metadata\n rise 2\n fall 2\n";

class AnycastService : public testing::Test {
protected:
    void SetUp() override {
        net_.add_link("lo");
        net_.journal = frr_.journal = &journal_;
    }
    void start(const std::string& lines = kConfig) {
        service_.start(settings(lines));
        journal_.clear();
    }
    void metadata(HealthState state) {
        health_.report({"metadata", "listener", HealthScope::kLocal, state, "listener", "", {}});
    }
    void announce() {
        metadata(HealthState::kOk);
        service_.check(), service_.check();
        EXPECT_TRUE(service_.announced());
        journal_.clear();
    }
    bool on_lo() { return net_.has("lo", "2001:db8:ffff::1/128"); }
    bool gate() { return frr_.prefix_lists["bgp-anycast"].at(0).permit; }

    asio::io_context loop_;
    ManualClock clock_;
    test::FakeEvents events_;
    test::FakeHealth health_;
    test::MemoryStore store_;
    test::NoSecrets secrets_;
    test::FakeFrr frr_;
    test::FakeNet net_;
    Words journal_;
    Host host_{loop_.get_executor(),
               loop_.get_executor(),
               clock_,
               events_,
               health_,
               store_,
               secrets_,
               frr_,
               net_,
               "meta-1",
               "/nowhere"};
    Service service_{host_};
};

TEST_F(AnycastService, BeginsDeniedAndTakesAwayWhatAnEarlierRunLeft) {
    net_.on_link["lo"] = {
        {InterfaceAddress::parse("2001:db8:ffff::1/128").value(), std::chrono::seconds(2), std::chrono::seconds(0)}};
    start();
    EXPECT_FALSE(on_lo());
    EXPECT_FALSE(gate());
    EXPECT_EQ(HealthState::kDegraded, health_.state("bgp-anycast", "announcement"));
}

TEST_F(AnycastService, AnnouncesAddressFirst) {
    start();
    metadata(HealthState::kOk);
    service_.check(), service_.check();
    EXPECT_EQ((Words{"put-address", "declare-prefix-list permit"}), journal_);
    EXPECT_TRUE(on_lo());
    EXPECT_TRUE(gate());
    EXPECT_EQ(Words{"anycast.announced"}, events_.types());
    const LinkAddress& lease = net_.on_link["lo"].at(0);
    EXPECT_EQ(std::chrono::seconds(3), lease.valid_lifetime);
    EXPECT_EQ(std::chrono::seconds(0), lease.preferred_lifetime);
}

TEST_F(AnycastService, WithdrawsGateFirst) {
    start();
    announce();
    metadata(HealthState::kFailed);
    service_.check(), service_.check();
    EXPECT_EQ((Words{"declare-prefix-list deny", "remove-address"}), journal_);
    EXPECT_FALSE(on_lo());
    EXPECT_EQ("anycast.withdrawn", events_.published.back().type);
    EXPECT_EQ("metadata/listener: listener", events_.published.back().message);
}

TEST_F(AnycastService, ABurstOfChangesIsOneCheck) {
    metadata(HealthState::kOk);
    start();
    announce();
    for (int i = 0; i < 5; ++i) {
        health_.report({"metadata", std::to_string(i), HealthScope::kLocal, HealthState::kFailed, "dead", "", {}});
    }
    EXPECT_TRUE(service_.announced());
    service_.check();
    EXPECT_FALSE(service_.announced());
}

TEST_F(AnycastService, StopWithdrawsAtOnceAndLetsGo) {
    start();
    announce();
    service_.stop();
    EXPECT_EQ((Words{"declare-prefix-list deny", "remove-address"}), journal_);
    EXPECT_EQ(Words{"bgp-anycast"}, frr_.released);
    EXPECT_FALSE(on_lo());
    service_.stop();
    EXPECT_EQ(2u, journal_.size());
}

TEST_F(AnycastService, WorksWithoutBgpdsGate) {
    start(" address 2001:db8:ffff::1/128\n");
    announce();
    EXPECT_TRUE(on_lo());
    EXPECT_TRUE(frr_.prefix_lists["bgp-anycast"].empty());
}

TEST_F(AnycastService, MovesToANewInterface) {
    net_.add_link("eth0");
    start();
    announce();
    service_.reconfigure(settings(kConfig + " interface eth0\n"));
    EXPECT_FALSE(on_lo());
    EXPECT_TRUE(net_.has("eth0", "2001:db8:ffff::1/128"));
}

TEST_F(AnycastService, ANewLeaseLeavesTheAddressInPlace) {
    start();
    announce();
    service_.reconfigure(settings(kConfig + " lease 9\n"));
    EXPECT_EQ((Words{"declare-prefix-list permit", "put-address"}), journal_);
    EXPECT_EQ(std::chrono::seconds(9), net_.on_link["lo"].at(0).valid_lifetime);
}

TEST_F(AnycastService, SaysWhenTheKernelRefusesTheLease) {
    start();
    net_.fault = Error{Code::kPermissionDenied, "Operation not permitted", {}};
    metadata(HealthState::kOk);
    service_.check(), service_.check();
    EXPECT_EQ(HealthState::kFailed, health_.state("bgp-anycast", "lease"));
}

TEST_F(AnycastService, ShowsWhatDecides) {
    start();
    announce();
    frr_.sync(FrrDaemon::kBgpd);
    boost::json::value shown = service_.show().data;
    EXPECT_EQ("announced", shown.at("state").as_string());
    EXPECT_EQ("metadata healthy", shown.at("reason").as_string());
    EXPECT_EQ("permit", shown.at("gate").at("action").as_string());
    EXPECT_TRUE(shown.at("gate").at("in_sync").as_bool());
    EXPECT_EQ(1u, shown.at("checks").as_array().size());
}

}  // namespace
}  // namespace nett::anycast
