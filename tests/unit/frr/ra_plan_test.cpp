#include "agent/frr/ra_plan.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

using namespace std::chrono_literals;

Prefix6 prefix(const char* text) {
    return Prefix6::parse(text).value();
}

// A zebra that does what it is told, and a planner over it.
class RaPlan : public testing::Test {
protected:
    static RaInterface port(std::string name, std::vector<const char*> prefixes) {
        RaInterface interface;
        interface.name = std::move(name);
        for (const char* text : prefixes) interface.prefixes.push_back({prefix(text)});
        return interface;
    }

    RaChange plan() { return planner_.plan(declared_, zebra_, clock_.steady_now()); }

    // Plans and applies until nothing is left to do; returns the first change.
    RaChange reconcile() {
        RaChange first = plan();
        RaChange change = first;
        for (int round = 0; !change.empty(); ++round) {
            EXPECT_LT(round, 5) << "does not settle";
            if (round == 5) break;
            apply(change);
            change = plan();
        }
        return first;
    }

    void apply(const RaChange& change) {
        for (const auto& [name, gone] : change.delete_prefixes) {
            std::erase_if(zebra_[name].config.prefixes, [&](const RaPrefix& entry) { return entry.prefix == gone; });
        }
        for (const RaInterface& interface : change.put) {
            RaActual& actual = zebra_[interface.name];
            std::vector<RaPrefix> kept = interface.prefixes;
            for (const RaPrefix& old : actual.config.prefixes) {
                bool named =
                    std::any_of(kept.begin(), kept.end(), [&](const RaPrefix& p) { return p.prefix == old.prefix; });
                if (!named) kept.push_back(old);
            }
            actual.send = true;
            actual.exact = true;
            actual.config = interface;
            actual.config.prefixes = kept;
            actual.config = normalized(actual.config);
        }
        for (const std::string& name : change.clear) zebra_.erase(name);
    }

    void declare(RaInterface interface) { declared_[interface.name] = interface; }
    std::chrono::seconds preferred(const char* name, const char* text) {
        for (const RaPrefix& entry : zebra_[name].config.prefixes) {
            if (entry.prefix == prefix(text)) return entry.preferred_lifetime;
        }
        return -1s;
    }

    ManualClock clock_;
    RaPlanner planner_;
    RaPlanner::Declared declared_;
    RaTable zebra_;
};

TEST_F(RaPlan, ProgramsAllInterfacesInOneBatchAndThenIsSilent) {
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    declare(port("swp2", {"2001:db8:b000:2::/64"}));
    RaChange first = reconcile();
    EXPECT_EQ(2u, first.put.size());
    EXPECT_TRUE(first.drift.empty());
    EXPECT_TRUE(plan().empty());
    clock_.advance(24h);
    EXPECT_TRUE(plan().empty());
}

TEST_F(RaPlan, RepairsOnlyTheInterfaceThatDrifted) {
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    declare(port("swp2", {"2001:db8:b000:2::/64"}));
    reconcile();
    zebra_["swp2"].config.max_interval = 600s;
    RaChange change = plan();
    ASSERT_EQ(1u, change.put.size());
    EXPECT_EQ("swp2", change.put[0].name);
    ASSERT_EQ(1u, change.drift.size());
    EXPECT_EQ("swp2", change.drift[0].subject);
    EXPECT_EQ("interval in ms 600000 instead of 10000", change.drift[0].difference);
}

TEST_F(RaPlan, ProgramsEverythingAgainAfterARestart) {
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    reconcile();
    zebra_.clear();
    RaChange change = plan();
    EXPECT_EQ(1u, change.put.size());
    ASSERT_EQ(1u, change.drift.size());
    EXPECT_EQ("no advertisements", change.drift[0].difference);
}

TEST_F(RaPlan, DeprecatesARemovedPrefixForSomeIntervalsBeforeItGoes) {
    declare(port("swp1", {"2001:db8:b000:1::/64", "2001:db8:b000:2::/64"}));
    reconcile();
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    RaChange change = reconcile();
    EXPECT_TRUE(change.delete_prefixes.empty());
    EXPECT_EQ(0s, preferred("swp1", "2001:db8:b000:2::/64"));
    EXPECT_EQ(300s, preferred("swp1", "2001:db8:b000:1::/64"));
    clock_.advance(29s);
    EXPECT_TRUE(plan().empty());
    clock_.advance(1s);
    change = reconcile();
    EXPECT_EQ(1u, change.delete_prefixes.size());
    EXPECT_EQ(-1s, preferred("swp1", "2001:db8:b000:2::/64"));
    EXPECT_EQ(300s, preferred("swp1", "2001:db8:b000:1::/64"));
}

TEST_F(RaPlan, APrefixWithoutALifetimeGoesAtOnceAndComesBackWhole) {
    declare(port("swp1", {"2001:db8:b000:1::/64", "2001:db8:b000:2::/64"}));
    reconcile();
    RaInterface without = port("swp1", {"2001:db8:b000:1::/64", "2001:db8:b000:2::/64"});
    without.prefixes[1].valid_lifetime = without.prefixes[1].preferred_lifetime = 0s;
    declare(without);
    RaChange change = reconcile();
    EXPECT_EQ(1u, change.delete_prefixes.size());
    EXPECT_EQ(-1s, preferred("swp1", "2001:db8:b000:2::/64"));
    EXPECT_EQ(300s, preferred("swp1", "2001:db8:b000:1::/64"));
    declare(port("swp1", {"2001:db8:b000:1::/64", "2001:db8:b000:2::/64"}));
    change = reconcile();
    EXPECT_TRUE(change.delete_prefixes.empty());
    EXPECT_TRUE(change.drift.empty());
    EXPECT_EQ(300s, preferred("swp1", "2001:db8:b000:2::/64"));
}

TEST_F(RaPlan, KeepsDeprecatingWhenZebraRestartsMeanwhile) {
    declare(port("swp1", {"2001:db8:b000:1::/64", "2001:db8:b000:2::/64"}));
    reconcile();
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    reconcile();
    zebra_.clear();
    reconcile();
    EXPECT_EQ(0s, preferred("swp1", "2001:db8:b000:2::/64"));
}

TEST_F(RaPlan, RevivesAPrefixThatIsDeclaredAgain) {
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    reconcile();
    declare(port("swp1", {"2001:db8:b000:2::/64"}));
    reconcile();
    declare(port("swp1", {"2001:db8:b000:1::/64", "2001:db8:b000:2::/64"}));
    reconcile();
    EXPECT_EQ(300s, preferred("swp1", "2001:db8:b000:1::/64"));
    clock_.advance(1h);
    EXPECT_TRUE(plan().empty());
}

TEST_F(RaPlan, DeprecatesAForeignPrefixOfADeclaredInterface) {
    zebra_["swp1"].send = true;
    zebra_["swp1"].config = port("swp1", {"2001:db8:bad::/64"});
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    reconcile();
    EXPECT_EQ(0s, preferred("swp1", "2001:db8:bad::/64"));
    clock_.advance(30s);
    reconcile();
    EXPECT_EQ(-1s, preferred("swp1", "2001:db8:bad::/64"));
}

TEST_F(RaPlan, NamesEveryDifferenceOfADrift) {
    RaInterface interface = port("swp1", {"2001:db8:b000:1::/64", "2001:db8:b000:2::/64"});
    interface.dns_servers = {{parse_address6("2001:db8::53").value()}};
    interface.mtu = 9000;
    declare(interface);
    reconcile();
    RaInterface& config = zebra_["swp1"].config;
    config.router_lifetime = 0s;
    config.preference = RouterPreference::kHigh;
    config.mtu.reset();
    config.managed = true;
    config.prefixes = {{prefix("2001:db8:b000:1::/64"), 9s, 5s}, {prefix("2001:db8:bad::/64")}};
    config.dns_servers.clear();
    RaChange change = plan();
    ASSERT_EQ(1u, change.drift.size());
    EXPECT_EQ(
        "router lifetime 0 instead of 30, preference high instead of medium, mtu 0 instead of 9000, managed flag true "
        "instead of false, prefix 2001:db8:b000:1::/64 for 9/5 s instead of 600/300 s, prefix 2001:db8:b000:2::/64 "
        "missing, foreign prefix 2001:db8:bad::/64, DNS server 2001:db8::53 missing or changed",
        change.drift[0].difference);
}

TEST_F(RaPlan, AForeignPrefixIsDriftOnce) {
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    reconcile();
    zebra_["swp1"].config.prefixes.push_back({prefix("2001:db8:bad::/64")});
    RaChange change = plan();
    ASSERT_EQ(1u, change.drift.size());
    EXPECT_EQ("foreign prefix 2001:db8:bad::/64", change.drift[0].difference);
    apply(change);
    clock_.advance(30s);
    EXPECT_TRUE(plan().drift.empty());
}

TEST_F(RaPlan, WhatIsDeclaredAnewIsNoDrift) {
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    reconcile();
    declare(port("swp1", {"2001:db8:b000:2::/64"}));
    EXPECT_TRUE(reconcile().drift.empty());
}

TEST_F(RaPlan, ADroppedInterfaceSaysGoodbyeFirst) {
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    declare(port("swp2", {"2001:db8:b000:2::/64"}));
    reconcile();
    declared_.erase("swp2");
    reconcile();
    EXPECT_EQ(0s, zebra_["swp2"].config.router_lifetime);
    EXPECT_EQ(0s, preferred("swp2", "2001:db8:b000:2::/64"));
    clock_.advance(30s);
    RaChange change = reconcile();
    EXPECT_EQ(std::vector<std::string>{"swp2"}, change.clear);
    EXPECT_FALSE(zebra_.contains("swp2"));
    EXPECT_TRUE(zebra_["swp1"].send);
}

TEST_F(RaPlan, TakesOverWhatAnEarlierRunHadDeclared) {
    zebra_["swp1"].send = zebra_["swp2"].send = true;
    zebra_["swp1"].config = port("swp1", {"2001:db8:b000:1::/64"});
    zebra_["swp2"].config = port("swp2", {"2001:db8:b000:2::/64"});
    for (const char* name : {"swp1", "swp2", "swp3"})
        planner_.adopt(zebra_.contains(name) ? zebra_[name].config : port(name, {}));
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    reconcile();
    EXPECT_EQ(30s, zebra_["swp1"].config.router_lifetime);
    EXPECT_EQ(0s, zebra_["swp2"].config.router_lifetime);
    EXPECT_FALSE(zebra_.contains("swp3"));
}

TEST_F(RaPlan, LeavesInterfacesAloneThatWereNeverDeclared) {
    zebra_["uplink1"].send = true;
    zebra_["uplink1"].config = port("uplink1", {"2001:db8:cafe::/64"});
    declare(port("swp1", {"2001:db8:b000:1::/64"}));
    RaChange change = reconcile();
    EXPECT_EQ(1u, change.put.size());
    EXPECT_TRUE(zebra_["uplink1"].send);
    EXPECT_EQ(300s, preferred("uplink1", "2001:db8:cafe::/64"));
}

TEST_F(RaPlan, RemovesADnsServerAtOnce) {
    RaInterface interface = port("swp1", {"2001:db8:b000:1::/64"});
    interface.dns_servers = {{parse_address6("2001:db8::53").value()}, {parse_address6("2001:db8::54").value()}};
    declare(interface);
    reconcile();
    interface.dns_servers.pop_back();
    declare(interface);
    RaChange change = plan();
    ASSERT_EQ(1u, change.delete_dns_servers.size());
    EXPECT_EQ("2001:db8::54", change.delete_dns_servers[0].second.to_string());
}

}  // namespace
}  // namespace nett
