#include "agent/frr/vtysh_config.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

// As FRR 10.3 prints it.
constexpr std::string_view kRunning = R"(Building configuration...

Current configuration:
!
frr version 10.3
frr defaults datacenter
hostname tor
!
ipv6 prefix-list AGGREGATE seq 5 permit 2001:db8:b000::/56
!
interface swp1
 ipv6 address 2001:db8:b000:1::1/64
 ipv6 nd mtu 9000
 ipv6 nd prefix 2001:db8:b000:1::/64 600 300
 ipv6 nd ra-interval 10
 ipv6 nd ra-lifetime 30
 ipv6 nd rdnss 2001:db8::53 600
 ipv6 nd router-preference high
 no ipv6 nd suppress-ra
exit
!
interface swp2
 ipv6 nd ra-interval msec 4500
 ipv6 nd ra-lifetime 0
 ipv6 nd managed-config-flag
 ipv6 nd other-config-flag
exit
!
interface swp3 vrf red
 no ipv6 nd suppress-ra
exit
!
interface uplink1
 description fabric
exit
!
router bgp 4200000001
 neighbor uplink1 interface peer-group FABRIC
exit
!
end
)";

Prefix6 prefix(const char* text) {
    return Prefix6::parse(text).value();
}

RaActual only(const std::string& lines) {
    auto table = parse_running_config("interface swp1\n" + lines + "exit\n");
    EXPECT_TRUE(table) << table.error().to_string();
    return table->at("swp1");
}

RaInterface port(std::string name) {
    RaInterface interface;
    interface.name = std::move(name);
    interface.prefixes = {{prefix("2001:db8:b000:1::/64")}};
    return interface;
}

TEST(VtyshConfig, ReadsWhatFrrPrints) {
    RaTable table = parse_running_config(kRunning).value();
    ASSERT_EQ(2u, table.size());
    RaInterface expected = port("swp1");
    expected.preference = RouterPreference::kHigh;
    expected.mtu = 9000;
    expected.dns_servers = {{parse_address6("2001:db8::53").value()}};
    EXPECT_TRUE(table.at("swp1").send);
    EXPECT_TRUE(table.at("swp1").exact);
    EXPECT_EQ(expected, table.at("swp1").config);
    EXPECT_FALSE(table.at("swp2").send);
    EXPECT_EQ(4500ms, table.at("swp2").config.max_interval);
    EXPECT_EQ(0s, table.at("swp2").config.router_lifetime);
    EXPECT_TRUE(table.at("swp2").config.managed && table.at("swp2").config.other_config);
}

TEST(VtyshConfig, DefaultsThatFrrDoesNotPrintAreKnown) {
    RaActual actual = only(" ipv6 nd prefix 2001:db8::/64\n no ipv6 nd suppress-ra\n");
    EXPECT_EQ(600s, actual.config.max_interval);
    EXPECT_EQ(2'592'000s, actual.config.prefixes.at(0).valid_lifetime);
    EXPECT_EQ(604'800s, actual.config.prefixes.at(0).preferred_lifetime);
    EXPECT_FALSE(actual.exact);
}

TEST(VtyshConfig, WhatNettNeverSetsIsNotExact) {
    const std::string lifetime = " ipv6 nd ra-lifetime 30\n";
    EXPECT_TRUE(only(lifetime).exact);
    EXPECT_FALSE(only(lifetime + " ipv6 nd prefix 2001:db8::/64 600 300 no-autoconfig\n").exact);
    EXPECT_FALSE(only(lifetime + " ipv6 nd prefix 2001:db8::/64 off-link\n").exact);
    EXPECT_FALSE(only(lifetime + " ipv6 nd rdnss 2001:db8::53\n").exact);
    EXPECT_FALSE(only(lifetime + " ipv6 nd home-agent-lifetime 9\n").exact);
    EXPECT_EQ(std::chrono::seconds(0xffffffff),
              only(" ipv6 nd prefix 2001:db8::/64 infinite infinite\n").config.prefixes.at(0).valid_lifetime);
}

TEST(VtyshConfig, ALineThatIsNotUnderstoodIsNamed) {
    for (const char* line : {" ipv6 nd ra-interval soon\n", " ipv6 nd prefix 2001:db8::1/64\n"}) {
        auto table = parse_running_config(std::string("interface swp1\n no ipv6 nd suppress-ra\n") + line);
        ASSERT_FALSE(table) << line;
        EXPECT_EQ(Code::kDataLoss, table.error().code);
        EXPECT_NE(std::string::npos, table.error().message.find("ipv6 nd"));
    }
}

TEST(VtyshConfig, WritesEverythingOfAnInterfaceTogether) {
    RaChange change;
    change.put = {port("swp1")};
    change.put[0].dns_servers = {{parse_address6("2001:db8::53").value()}};
    change.delete_prefixes = {{"swp1", prefix("2001:db8:bad::/64")}};
    EXPECT_EQ(
        (Lines{"interface swp1", " no ipv6 nd prefix 2001:db8:bad::/64", " ipv6 nd prefix 2001:db8:b000:1::/64 600 300",
               " ipv6 nd rdnss 2001:db8::53 600", " ipv6 nd ra-interval msec 10000", " ipv6 nd ra-lifetime 30",
               " ipv6 nd router-preference medium", " no ipv6 nd mtu", " no ipv6 nd managed-config-flag",
               " no ipv6 nd other-config-flag", " no ipv6 nd suppress-ra", "exit"}),
        config_lines(change, {}).value());
}

TEST(VtyshConfig, WhatIsWrittenReadsBackTheSame) {
    RaInterface wanted = port("swp1");
    wanted.max_interval = 4500ms;
    wanted.preference = RouterPreference::kLow;
    wanted.mtu = 1500;
    RaChange change;
    change.put = {wanted};
    std::string text;
    const Lines lines = config_lines(change, {}).value();
    for (const std::string& line : lines) {
        if (line.find("no ipv6 nd m") == std::string::npos && line.find("no ipv6 nd other") == std::string::npos)
            text += line + "\n";
    }
    RaActual actual = parse_running_config(text).value().at("swp1");
    EXPECT_TRUE(actual.send && actual.exact);
    EXPECT_EQ(wanted, actual.config);
}

TEST(VtyshConfig, ClearsAllThatAnInterfaceHad) {
    RaChange change;
    change.clear = {"swp1"};
    Lines lines = config_lines(change, parse_running_config(kRunning).value()).value();
    for (const char* line : {" ipv6 nd suppress-ra", " no ipv6 nd prefix 2001:db8:b000:1::/64",
                             " no ipv6 nd rdnss 2001:db8::53", " no ipv6 nd ra-lifetime", " no ipv6 nd mtu"}) {
        EXPECT_NE(lines.end(), std::find(lines.begin(), lines.end(), line)) << line;
    }
}

TEST(VtyshConfig, ANameThatFrrWouldTakeApartIsRefused) {
    for (const char* name : {"swp 1", "!swp1", "#1", "swp\t1", ""}) {
        RaChange change;
        change.put = {port(name)};
        EXPECT_FALSE(config_lines(change, {})) << name;
        PrefixListChange entries;
        entries.put = {{name, 5, true, prefix("2001:db8::/64")}};
        EXPECT_FALSE(config_lines(entries)) << name;
    }
}

TEST(VtyshConfig, ReadsPrefixListsAsBgpdShowsThem) {
    PrefixListTable table;
    ASSERT_TRUE(parse_shown_prefix_list(
        R"({"bgpd":{"GATE":{"addressFamily":"IPv6","entries":[
            {"sequenceNumber":5,"type":"permit","prefix":"2001:db8:ffff::1/128"},
            {"sequenceNumber":6,"type":"deny","prefix":"::/0","maximumPrefixLength":128}]}}})",
        "GATE", table));
    EXPECT_EQ((PrefixListEntry{"GATE", 5, true, prefix("2001:db8:ffff::1/128")}), (table[{"GATE", 5}]));
    EXPECT_EQ(std::nullopt, (table[{"GATE", 6}]));
    table.clear();
    // FRR's answer for an unknown list is no JSON.
    ASSERT_TRUE(parse_shown_prefix_list("{\"bgpd\":}\n\n", "NONE", table));
    EXPECT_TRUE(table.empty());
    EXPECT_FALSE(parse_shown_prefix_list("% broken", "GATE", table));
}

TEST(VtyshConfig, WritesPrefixListsRemovalsFirst) {
    PrefixListChange change;
    change.remove = {{"GATE", 6}};
    change.put = {{"GATE", 5, false, prefix("2001:db8:ffff::1/128")}};
    EXPECT_EQ((Lines{"no ipv6 prefix-list GATE seq 6", "ipv6 prefix-list GATE seq 5 deny 2001:db8:ffff::1/128"}),
              config_lines(change).value());
}

TEST(VtyshConfig, TellsARefusalFromProgress) {
    EXPECT_EQ("", refusal_of("MGMTD: No changes found to be committed!\n[7|mgmtd] done\n"));
    EXPECT_EQ("% Configuration failed. Path: /x Error: Must condition not satisfied.",
              refusal_of("% Configuration failed.\n\n Path: /x\n Error: Must condition not satisfied.\n"));
}

}  // namespace
}  // namespace nett
