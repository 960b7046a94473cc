#include "agent/fabric/port_table.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

Prefix6 prefix(const std::string& text) {
    return Prefix6::parse(text).value();
}

OwnPort own(const std::string& name, const std::string& boot_prefix, const std::string& neighbour_mac = "") {
    OwnPort port{name, prefix(boot_prefix), "up", "02:00:00:00:00:01", {}};
    if (!neighbour_mac.empty())
        port.neighbours.push_back({"swp", parse_address6("fe80::9").value(), neighbour_mac, "stale"});
    return port;
}

FabricOrigin reports(const std::string& name, const std::string& port, const std::string& announced) {
    FabricOrigin origin;
    origin.name = name;
    origin.prefixes.emplace(PortPrefix{port, prefix(announced), parse_address6("fe80::9").value()}, SystemTime{});
    return origin;
}

// "port machine known-by" of each row.
std::vector<std::string> rows(const std::vector<PortRow>& table) {
    std::vector<std::string> out;
    for (const auto& row : table) out.push_back(fmt::format("{} {} {}", row.port, row.machine, row.known_by));
    return out;
}

const KnownMachine kBound{"node-1", {}, {{"tor-a/swp7", prefix("2001:db8:b000:7::/64")}}, "", ""};

TEST(PortTable, ASwitchAloneShowsItsPortsInNaturalOrder) {
    const auto table =
        port_table({own("tor-a/swp10", "2001:db8:b000:a::/64"), own("tor-a/swp2", "2001:db8:b000:2::/64")}, {}, {});
    EXPECT_EQ(rows(table), (std::vector<std::string>{"tor-a/swp2  ", "tor-a/swp10  "}));
    EXPECT_EQ(table[0].prefix, "2001:db8:b000:2::/64");
    EXPECT_EQ(table[0].link, "up");
}

TEST(PortTable, AMetadataHostShowsThePortsOfItsBindings) {
    const auto table = port_table({}, {kBound}, {});
    EXPECT_EQ(rows(table), std::vector<std::string>{"tor-a/swp7 node-1 binding"});
    EXPECT_EQ(table[0].prefix, "2001:db8:b000:7::/64");
    EXPECT_EQ(table[0].link, "-");
}

TEST(PortTable, WhatIsSeenCountsMoreThanWhatIsExpected) {
    const KnownMachine other{"node-2", {"52:54:00:00:00:02"}, {}, "2001:db8:c0de::2/128", "2001:db8:b000:7::99"};
    const auto by = [&](const std::vector<OwnPort>& ports, const std::map<std::string, FabricOrigin>& origins) {
        return rows(port_table(ports, {kBound, other}, origins)).at(0);
    };
    EXPECT_EQ(by({}, {}), "tor-a/swp7 node-2 boot");
    EXPECT_EQ(by({own("tor-a/swp7", "2001:db8:b000:7::/64", "52:54:00:00:00:02")}, {}), "tor-a/swp7 node-2 neighbour");
    EXPECT_EQ(by({}, {{"tor-a", reports("tor-a", "tor-a/swp7", "2001:db8:c0de::2/128")}}),
              "tor-a/swp7 node-2 production");
}

TEST(PortTable, AnAnnouncedPrefixThatIsNobodysIsShownAsSuch) {
    const auto table = port_table({}, {}, {{"tor-a", reports("tor-a", "tor-a/swp7", "2001:db8:dead::/64")}});
    ASSERT_EQ(table.size(), 1U);
    EXPECT_EQ(table[0].announced, std::vector<std::string>{"2001:db8:dead::/64"});
    EXPECT_EQ(table[0].origin, "tor-a");
    EXPECT_EQ(table[0].machine, "");
}

}  // namespace
}  // namespace nett
