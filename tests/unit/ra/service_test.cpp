#include "plugins/ra/service.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "tests/unit/ra/fixture.hpp"
#include "tests/unit/support/fake_fabric.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett::ra {
namespace {

const std::string kConfig = " aggregate 2001:db8:b000::/56\n ports swp1-9\n";

class RaService : public testing::Test {
protected:
    void SetUp() override {
        net_.add_link("lo");
        net_.add_link("swp1");
        net_.add_link("swp2");
    }
    void TearDown() override { stop(); }

    // A fresh agent on the same store and kernel.
    void start(const std::string& lines = kConfig) {
        service_ = std::make_unique<Service>(host_);
        ASSERT_TRUE(apply(lines));
        service_->run();
        loop_.poll();
    }
    void stop() {
        if (service_) run(service_->stop());
        service_.reset();
    }
    Result<void> apply(const std::string& lines) {
        Result<void> result;
        run([this, &lines, &result]() -> Awaitable<void> {
            Settings values = settings(lines);
            result = co_await service_->apply(std::move(values));
        }());
        return result;
    }
    void run(Awaitable<void> work) {
        asio::co_spawn(loop_, std::move(work), asio::detached);
        loop_.restart();
        loop_.poll();
    }
    void turn() {
        loop_.restart();
        loop_.poll();
    }
    std::vector<std::string> declared() {
        std::vector<std::string> texts;
        for (const RaInterface& interface : frr_.ra["ra"]) {
            texts.push_back(interface.name + " " + interface.prefixes.at(0).prefix.to_string());
        }
        return texts;
    }

    asio::io_context loop_;
    ManualClock clock_;
    test::FakeEvents events_;
    test::FakeHealth health_;
    test::MemoryStore store_;
    test::NoSecrets secrets_;
    test::FakeFrr frr_;
    test::FakeNet net_;
    Host host_{loop_.get_executor(),
               loop_.get_executor(),
               clock_,
               events_,
               health_,
               store_,
               secrets_,
               frr_,
               net_,
               "tor-a",
               "/nowhere"};
    std::unique_ptr<Service> service_;
};

TEST_F(RaService, DeclaresAPrefixForEachPortAndAnchorsTheAggregate) {
    start();
    EXPECT_EQ((std::vector<std::string>{"swp1 2001:db8:b000:1::/64", "swp2 2001:db8:b000:2::/64"}), declared());
    EXPECT_EQ(std::vector<Prefix6>{prefix("2001:db8:b000::/56")}, net_.blackholes);
    EXPECT_EQ(2u, store_.list(kPortKind).value().size());
}

TEST_F(RaService, PutsTheAddressOnlyOnceZebraHasThePrefix) {
    start();
    EXPECT_EQ(0, net_.puts);
    EXPECT_EQ("waiting", service_->ports()[0].state);
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_TRUE(net_.has("swp2", "2001:db8:b000:2::1/64"));
    EXPECT_EQ("advertising", service_->ports()[0].state);
    EXPECT_EQ(HealthState::kOk, health_.state("ra", "programming"));
}

TEST_F(RaService, KeepsAddressesAndSaysSoWhileZebraIsAway) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    frr_.zebra.connected = frr_.zebra.in_sync = false;
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_EQ(HealthState::kDegraded, health_.state("ra", "programming"));
}

TEST_F(RaService, NumbersAPortThatAppears) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    net_.add_link("swp3");
    turn();
    EXPECT_EQ(3u, declared().size());
    EXPECT_FALSE(net_.has("swp3", "2001:db8:b000:3::1/64"));
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_TRUE(net_.has("swp3", "2001:db8:b000:3::1/64"));
}

TEST_F(RaService, KeepsThePrefixOfAPortThatGoesAndComesBack) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    net_.drop_link("swp1");
    turn();
    EXPECT_EQ(2u, declared().size());
    EXPECT_EQ("absent", service_->ports()[0].link);
    net_.add_link("swp1");
    turn();
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
}

TEST_F(RaService, ARestartChangesNothing) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    auto before = declared();
    int puts = net_.puts;
    stop();
    EXPECT_EQ(std::vector<std::string>{"ra"}, frr_.released);
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    start();
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_EQ(before, declared());
    EXPECT_EQ(puts, net_.puts);
}

TEST_F(RaService, TakesAwayWhatTheConfigurationLostWhileTheAgentWasDown) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    stop();
    start(" aggregate 2001:db8:c000::/56\n ports swp1\n");
    EXPECT_EQ(std::vector<std::string>{"swp1 2001:db8:c000:1::/64"}, declared());
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_FALSE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_TRUE(net_.has("swp1", "2001:db8:c000:1::1/64"));
    EXPECT_FALSE(net_.has("swp2", "2001:db8:b000:2::1/64"));
    EXPECT_EQ(std::vector<Prefix6>{prefix("2001:db8:c000::/56")}, net_.blackholes);
}

TEST_F(RaService, ReconfiguringMovesOnlyWhatChanged) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    ASSERT_TRUE(apply(kConfig + " port swp2 prefix 2001:db8:b000:77::/64\n"));
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_FALSE(net_.has("swp2", "2001:db8:b000:2::1/64"));
    EXPECT_TRUE(net_.has("swp2", "2001:db8:b000:77::1/64"));
}

TEST_F(RaService, ARefusedReconfigurationChangesNothing) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    auto before = declared();
    EXPECT_FALSE(apply(kConfig + " port swp2 prefix 2001:db8:b000:1::/64\n"));
    EXPECT_EQ(before, declared());
    store_.commit_fault = Error{Code::kUnavailable, "disk full", {}};
    EXPECT_FALSE(apply(" aggregate 2001:db8:c000::/56\n ports swp1\n"));
    EXPECT_EQ(before, declared());
    EXPECT_EQ(std::vector<Prefix6>{prefix("2001:db8:b000::/56")}, net_.blackholes);
}

TEST_F(RaService, SaysWhatTheKernelRefused) {
    start();
    net_.fault = Error{Code::kPermissionDenied, "Operation not permitted", {}};
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_EQ("failed", service_->ports()[0].state);
    EXPECT_EQ(HealthState::kFailed, health_.state("ra", "programming"));
}

TEST_F(RaService, TellsOfDrift) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    frr_.zebra.repairs = 1;
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_EQ("ra.drift", events_.types().back());
}

}  // namespace
}  // namespace nett::ra
