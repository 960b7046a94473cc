#include "agent/frr/ra_yang.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

namespace nett {
namespace {

using namespace std::chrono_literals;

RaInterface swp1() {
    RaInterface interface;
    interface.name = "swp1";
    interface.max_interval = 4000ms;
    interface.router_lifetime = 1800s;
    interface.preference = RouterPreference::kHigh;
    interface.mtu = 9000;
    interface.prefixes = {{Prefix6::parse("2001:db8:b001::/64").value(), 3600s, 1800s}};
    interface.dns_servers = {{parse_address6("2001:db8:b001::53").value(), 600s}};
    return interface;
}

TEST(RaYang, WritesTheWholeContainer) {
    RaChange change;
    change.put = {swp1()};
    EXPECT_EQ(boost::json::parse(R"({"frr-interface:lib":{"interface":[{"name":"swp1","frr-zebra:zebra":{
        "ipv6-router-advertisements":{"send-advertisements":true,"max-rtr-adv-interval":4000,"default-lifetime":1800,
        "default-router-preference":"high","link-mtu":9000,"managed-flag":false,"other-config-flag":false,
        "prefix-list":{"prefix":[{"prefix-spec":"2001:db8:b001::/64","valid-lifetime":3600,"preferred-lifetime":1800,
        "on-link-flag":true,"autonomous-flag":true}]},
        "rdnss":{"rdnss-address":[{"address":"2001:db8:b001::53","lifetime":600}]}}}}]}})"),
              boost::json::parse(merge_json(change)));
}

TEST(RaYang, ReadsBackWhatItWrites) {
    RaChange change;
    change.put = {swp1()};
    RaTable table = parse_ra(merge_json(change)).value();
    ASSERT_TRUE(table.contains("swp1"));
    EXPECT_TRUE(table["swp1"].send);
    EXPECT_TRUE(table["swp1"].exact);
    EXPECT_EQ(swp1(), table["swp1"].config);
}

TEST(RaYang, FillsInTheSchemasDefaults) {
    RaTable table = parse_ra(R"({"frr-interface:lib":{"interface":[{"name":"lo"},{"name":"swp1","vrf":"default",
        "frr-zebra:zebra":{"ipv6-router-advertisements":{"default-lifetime":30,
        "prefix-list":{"prefix":[{"prefix-spec":"2001:db8::/64"}]}}}}]}})")
                        .value();
    EXPECT_EQ(1u, table.size());
    const RaActual& actual = table["swp1"];
    EXPECT_FALSE(actual.send);
    EXPECT_EQ(600'000ms, actual.config.max_interval);
    ASSERT_EQ(1u, actual.config.prefixes.size());
    EXPECT_EQ(2'592'000s, actual.config.prefixes[0].valid_lifetime);
    EXPECT_EQ(604'800s, actual.config.prefixes[0].preferred_lifetime);
    EXPECT_FALSE(actual.config.mtu);
}

TEST(RaYang, WhatNettNeverProgramsIsNotExact) {
    RaTable table = parse_ra(R"({"frr-interface:lib":{"interface":[{"name":"swp1","frr-zebra:zebra":{
        "ipv6-router-advertisements":{"send-advertisements":true,"default-lifetime":30,
        "prefix-list":{"prefix":[{"prefix-spec":"2001:db8::/64","autonomous-flag":false}]}}}}]}})")
                        .value();
    EXPECT_FALSE(table["swp1"].exact);
}

TEST(RaYang, NothingThereIsAnEmptyTable) {
    EXPECT_TRUE(parse_ra("").value().empty());
    EXPECT_TRUE(parse_ra("{}").value().empty());
    EXPECT_TRUE(parse_ra(R"({"frr-interface:lib":{}})").value().empty());
}

TEST(RaYang, RefusesWhatIsNotTheSchema) {
    for (const char* text :
         {"[", "[]", R"({"frr-interface:lib":[]})",
          R"({"frr-interface:lib":{"interface":[{"name":"a","frr-zebra:zebra":{"ipv6-router-advertisements":7}}]}})",
          R"({"frr-interface:lib":{"interface":[{"name":"a","frr-zebra:zebra":{"ipv6-router-advertisements":
                             {"prefix-list":{"prefix":[{"prefix-spec":"nonsense"}]}}}}]}})"}) {
        auto table = parse_ra(text);
        ASSERT_FALSE(table) << text;
        EXPECT_EQ(Code::kDataLoss, table.error().code);
    }
}

TEST(RaYang, NamesTheListEntriesToDelete) {
    RaChange change;
    change.delete_prefixes = {{"swp1", Prefix6::parse("2001:db8::/64").value()}};
    change.delete_dns_servers = {{"swp1", parse_address6("2001:db8::53").value()}};
    change.clear = {"swp2"};
    const std::string ra = "/frr-zebra:zebra/ipv6-router-advertisements";
    EXPECT_EQ(
        (std::vector<std::string>{
            "/frr-interface:lib/interface[name=\"swp1\"]" + ra + "/prefix-list/prefix[prefix-spec=\"2001:db8::/64\"]",
            "/frr-interface:lib/interface[name=\"swp1\"]" + ra + "/rdnss/rdnss-address[address=\"2001:db8::53\"]",
            "/frr-interface:lib/interface[name=\"swp2\"]" + ra}),
        delete_paths(change));
    EXPECT_EQ("", merge_json(change));
}

}  // namespace
}  // namespace nett
