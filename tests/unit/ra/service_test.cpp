#include "plugins/ra/service.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/sdk/port_records.hpp"
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
        service_ = std::make_unique<Service>(host_, [this](const std::string& path) -> std::optional<std::string> {
            auto it = files_.find(path);
            if (it == files_.end()) return std::nullopt;
            return it->second;
        });
        ASSERT_TRUE(apply(lines));
        service_->run();
        loop_.poll();
    }
    void stop(bool withdraw = false) {
        if (!service_) return;
        run(service_->stop(withdraw));
        frr_.sync(FrrDaemon::kZebra);
        turn();
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

    // The address is there, and the kernel takes it away by itself after two intervals.
    bool leaves(const std::string& interface, const std::string& address) {
        for (const LinkAddress& entry : net_.on_link[interface]) {
            if (entry.address.to_string() != address) continue;
            return entry.valid_lifetime == std::chrono::seconds(20) &&
                   entry.preferred_lifetime == std::chrono::seconds(0);
        }
        return false;
    }

    std::map<std::string, std::string> files_;  // below /proc
    asio::io_context loop_;
    ManualClock clock_;
    std::vector<std::string> journal_;
    test::FakeEvents events_;
    test::FakeHealth health_;
    test::MemoryStore store_;
    test::NoSecrets secrets_;
    test::FakeFrr frr_;
    test::FakeNet net_;
    NullMetrics metrics_;
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
               "/nowhere",
               metrics_};
    std::unique_ptr<Service> service_;
};

TEST_F(RaService, DeclaresAPrefixForEachPortAndAnchorsTheAggregate) {
    start();
    EXPECT_EQ((std::vector<std::string>{"swp1 2001:db8:b000:1::/64", "swp2 2001:db8:b000:2::/64"}), declared());
    EXPECT_EQ(std::vector<Prefix6>{prefix("2001:db8:b000::/56")}, net_.blackholes);
    EXPECT_EQ(2u, store_.list(kOwnPortKind).value().size());
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
    EXPECT_TRUE(leaves("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_TRUE(net_.has("swp1", "2001:db8:c000:1::1/64"));
    EXPECT_TRUE(leaves("swp2", "2001:db8:b000:2::1/64"));
    // The way back to machines that still use their old addresses stays as long as these.
    EXPECT_EQ(2u, net_.blackholes.size());
    clock_.advance(std::chrono::seconds(20));
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_EQ(std::vector<Prefix6>{prefix("2001:db8:c000::/56")}, net_.blackholes);
}

TEST_F(RaService, ReconfiguringMovesOnlyWhatChanged) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    ASSERT_TRUE(apply(kConfig + " interface swp2\n  prefix 2001:db8:b000:77::/64\n"));
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_TRUE(leaves("swp2", "2001:db8:b000:2::1/64"));
    EXPECT_TRUE(net_.has("swp2", "2001:db8:b000:77::1/64"));
}

TEST_F(RaService, ARefusedReconfigurationChangesNothing) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    auto before = declared();
    EXPECT_FALSE(apply(kConfig + " interface swp2\n  prefix 2001:db8:b000:1::/64\n"));
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

TEST_F(RaService, APrefixThatMovesToAnotherPortLeavesTheFirstAtOnce) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    ASSERT_TRUE(apply(" aggregate 2001:db8:b000::/56\n ports swp2\n interface swp2\n  prefix 2001:db8:b000:1::/64\n"));
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_FALSE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_TRUE(net_.has("swp2", "2001:db8:b000:1::1/64"));
}

TEST_F(RaService, ARenamedLinkLosesTheAddressOfItsFormerName) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    net_.on_link["swp3"] = std::exchange(net_.on_link["swp1"], {});
    net_.existing[1].name = "swp3";
    net_.add_link("other");
    turn();
    EXPECT_FALSE(net_.has("swp3", "2001:db8:b000:1::1/64"));
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_TRUE(net_.has("swp3", "2001:db8:b000:3::1/64"));
}

TEST_F(RaService, TellsOfDriftInZebra) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    clock_.advance(std::chrono::seconds(1));
    frr_.drifts.push_back({FrrDaemon::kZebra, "swp1", "interval in ms 600000 instead of 10000", clock_.system_now()});
    frr_.drifts.push_back({FrrDaemon::kBgpd, "GATE", "entry 5 missing", clock_.system_now()});
    frr_.tell(FrrDaemon::kZebra);
    frr_.tell(FrrDaemon::kZebra);
    ASSERT_EQ(1u, service_->drift().size());
    EXPECT_EQ("swp1", service_->drift()[0].port);
    EXPECT_EQ("zebra", service_->drift()[0].where);
    EXPECT_EQ("ra.drift", events_.published.back().type);
    EXPECT_EQ("tor-a/swp1", events_.published.back().subject);
}

TEST_F(RaService, RepairsAndTellsOfDriftInTheKernel) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    net_.on_link["swp1"].clear();
    net_.blackholes.clear();
    net_.tell_addresses(net_.link("swp1")->index);
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_EQ(1u, net_.blackholes.size());
    ASSERT_EQ(2u, service_->drift().size());
    EXPECT_EQ("kernel", service_->drift()[0].where);
    EXPECT_EQ("address 2001:db8:b000:1::1/64 missing", service_->drift()[0].difference);
}

class RaReplaced : public RaService {
protected:
    const std::string address_ = "2001:db8:b000:1::1/64";
    void replace() {
        start();
        frr_.sync(FrrDaemon::kZebra);
        frr_.journal = net_.journal = &journal_;
        frr_.shows["show interface"] = R"({"swp1":{"ipAddresses":[{"address":"2001:db8:b000:1::1/64"}]},"swp2":{}})";
        net_.on_link["swp1"].at(0).replaced = true;
        net_.tell_addresses(net_.link("swp1")->index);
        frr_.tell(FrrDaemon::kZebra);
    }
    // Until the journal has so many words.
    void until(std::size_t words) {
        loop_.restart();
        while (journal_.size() < words && loop_.run_one_for(std::chrono::seconds(5)) > 0) {
        }
        EXPECT_EQ(words, journal_.size());
    }
    std::chrono::seconds valid(std::size_t port) { return frr_.ra["ra"].at(port).prefixes.at(0).valid_lifetime; }
};

TEST_F(RaReplaced, IsNamedAndProgrammedAnewInTheOneOrderThatIsSafe) {
    replace();
    EXPECT_EQ(HealthState::kDegraded, health_.state("ra", "programming"));
    ASSERT_EQ(1u, service_->drift().size());
    EXPECT_EQ("address 2001:db8:b000:1::1/64 replaced", service_->drift()[0].difference);
    until(1);
    EXPECT_EQ(0, valid(0).count());
    EXPECT_EQ(600, valid(1).count());
    EXPECT_TRUE(net_.has("swp1", address_));
    frr_.sync(FrrDaemon::kZebra);
    until(2);
    EXPECT_FALSE(net_.has("swp1", address_));
    // zebra has not seen it go yet: neither the prefix nor the address may come.
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_EQ(2u, journal_.size());
    frr_.shows.clear();
    until(3);
    EXPECT_EQ(600, valid(0).count());
    EXPECT_FALSE(net_.has("swp1", address_));
    frr_.sync(FrrDaemon::kZebra);
    until(4);
    EXPECT_TRUE(net_.has("swp1", address_));
    EXPECT_EQ((std::vector<std::string>{"declare-ra", "remove-address", "declare-ra", "put-address"}), journal_);
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_EQ(HealthState::kOk, health_.state("ra", "programming"));
    EXPECT_EQ(1u, service_->drift().size());
}

TEST_F(RaReplaced, AStopMeanwhileLeavesThePrefixDeclared) {
    replace();
    until(1);
    stop();
    EXPECT_EQ(600, valid(0).count());
    EXPECT_TRUE(net_.has("swp1", address_));
}

TEST_F(RaReplaced, StaysAsItIsWhenZebrasViewCannotBeRead) {
    replace();
    frr_.shows["show interface"] = "vtysh: not found";
    loop_.restart();
    loop_.run_for(std::chrono::milliseconds(100));  // longer than the agent lets events settle
    EXPECT_TRUE(journal_.empty());
    EXPECT_EQ(HealthState::kDegraded, health_.state("ra", "programming"));
}

TEST_F(RaService, OnlyPortsWhoseAddressesChangedAreLookedAt) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    net_.address_reads = 0;
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_EQ(0, net_.address_reads);
    net_.tell_addresses(net_.link("swp2")->index);
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_EQ(1, net_.address_reads);
    net_.tell_addresses(0);  // events were lost
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_EQ(3, net_.address_reads);
    clock_.advance(kFullLook);
    frr_.tell(FrrDaemon::kZebra);
    EXPECT_EQ(5, net_.address_reads);
}

TEST_F(RaService, WhatTheKernelDropsWithALinkIsNoDrift) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    net_.on_link["swp1"].clear();
    net_.add_link("other");
    turn();
    EXPECT_TRUE(net_.has("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_TRUE(service_->drift().empty());
}

TEST_F(RaService, ADepartingPluginSaysFarewellAndTakesEverythingAway) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    stop(true);
    EXPECT_EQ(std::vector<std::string>{"ra"}, frr_.withdrawn);
    EXPECT_TRUE(frr_.released.empty());
    EXPECT_TRUE(leaves("swp1", "2001:db8:b000:1::1/64"));
    EXPECT_TRUE(net_.blackholes.empty());
    // The next run knows that zebra may still say the farewell, keeps the numbers, and puts no address too early.
    start(" aggregate 2001:db8:b000::/56\n ports swp2\n");
    EXPECT_EQ(std::vector<std::string>{"swp2 2001:db8:b000:2::/64"}, declared());
    EXPECT_TRUE(leaves("swp2", "2001:db8:b000:2::1/64"));
    frr_.sync(FrrDaemon::kZebra);
    EXPECT_FALSE(leaves("swp2", "2001:db8:b000:2::1/64"));
}

const std::string kSummary = R"({"ipv6Unicast":{"peers":{"swp2":{"idType":"interface"},"fe80::9":{"idType":"ipv6"}}}})";
const std::string kOther =
    R"({"routes":{"2001:db8:b000:40::/58":[{"peerId":"fe80::2","nexthops":[{"hostname":"tor-b"}]}]}})";
const std::string kRoutesCommand = "show bgp ipv6 unicast 2001:db8:b000::/48 longer-prefixes";

TEST_F(RaService, RefusesAFabricPort) {
    frr_.shows["show bgp summary"] = kSummary;
    service_ = std::make_unique<Service>(host_);
    auto result = apply(kConfig);
    ASSERT_FALSE(result);
    EXPECT_NE(std::string::npos, result.error().message.find("swp2 is a port of the fabric")) << result.error().message;
    EXPECT_TRUE(frr_.ra.empty());
    EXPECT_TRUE(store_.list(kOwnPortKind).value().empty());
    start(" aggregate 2001:db8:b000::/56\n ports swp1-9,!swp2\n");
}

TEST_F(RaService, APortWhoseNeighbourIsInTheMachinesGroupIsNoFabricPort) {
    frr_.shows["show bgp summary"] = kSummary;
    frr_.shows["show bgp peer-group"] = R"({"MACHINES":{"members":{"swp2":{}}}})";
    start();
    EXPECT_EQ(2u, declared().size());
    EXPECT_EQ(HealthState::kOk, health_.state("ra", "fabric"));
}

TEST_F(RaService, RefusesAPortOfABridge) {
    net_.existing.at(2).upper = "br0";
    service_ = std::make_unique<Service>(host_);
    auto result = apply(kConfig);
    ASSERT_FALSE(result);
    EXPECT_NE(std::string::npos, result.error().message.find("swp2 is a port of br0")) << result.error().message;
    EXPECT_NE(std::string::npos, result.error().message.find("\"mode bridge\" with \"ports br0\""));
}

TEST_F(RaService, ALinkThatAppearsInABridgeIsLeftAlone) {
    start();
    net_.existing.push_back({9, "swp3", true, true, "02:00:00:00:00:09", "br0"});
    net_.add_link("other");
    turn();
    EXPECT_EQ(2u, declared().size());
}

TEST_F(RaService, APortThatIsPutIntoABridgeLaterStaysAndIsAHealthCondition) {
    start();
    frr_.sync(FrrDaemon::kZebra);
    net_.existing.at(2).upper = "br0";
    net_.add_link("other");
    turn();
    EXPECT_EQ(2u, declared().size());
    EXPECT_EQ(HealthState::kDegraded, health_.state("ra", "fabric"));
}

TEST_F(RaService, APortThatMachinesPeerOnIsNoFabricPort) {
    frr_.shows["show bgp summary"] = kSummary;
    start(std::string(kConfig) + " machine-bgp\n");
    EXPECT_EQ(HealthState::kOk, health_.state("ra", "fabric"));
}

TEST_F(RaService, RefusesAnAggregateThatAnotherSwitchAnnounces) {
    frr_.shows[kRoutesCommand] = kOther;
    frr_.shows["show bgp summary"] = kSummary;
    service_ = std::make_unique<Service>(host_);
    auto result = apply(" aggregate 2001:db8:b000::/56\n ports swp1\n");
    ASSERT_FALSE(result);
    EXPECT_NE(std::string::npos, result.error().message.find("overlaps 2001:db8:b000:40::/58, which tor-b announces"));
}

TEST_F(RaService, WhatIsInForceStaysAndIsAHealthCondition) {
    start();
    EXPECT_EQ(HealthState::kOk, health_.state("ra", "fabric"));
    stop();
    frr_.shows["show bgp summary"] = kSummary;
    frr_.shows[kRoutesCommand] = kOther;
    start();
    EXPECT_EQ(2u, declared().size());
    EXPECT_EQ(HealthState::kFailed, health_.state("ra", "fabric"));
}

TEST_F(RaService, SaysThatTheKernelDoesNotForward) {
    files_["/proc/sys/net/ipv6/conf/all/forwarding"] = "0\n";
    start();
    EXPECT_EQ(HealthState::kFailed, health_.state("ra", "forwarding"));
    stop();
    files_["/proc/sys/net/ipv6/conf/all/forwarding"] = "1\n";
    start();
    EXPECT_EQ(HealthState::kOk, health_.state("ra", "forwarding"));
}

}  // namespace
}  // namespace nett::ra
