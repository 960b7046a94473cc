#include "plugins/ra/bgp_view.hpp"

#include "tests/unit/ra/fixture.hpp"

namespace nett::ra {
namespace {

// Shortened from FRR 10.3.
constexpr std::string_view kSummary = R"({
"ipv6Unicast":{"routerId":"0.0.0.1","as":4200000001,"peers":{
  "fab1":{"hostname":"tor-b","state":"Established","idType":"interface"},
  "2001:db8::9":{"state":"Idle","idType":"ipv6"}},"totalPeers":2},
"l2VpnEvpn":{"peers":{"fab2":{"state":"Idle","idType":"interface"}}}})";
constexpr std::string_view kRoutes = R"json({"vrfId":0,"routes":{
 "2001:db8:b000::/56":[{"peerId":"(unspec)","path":"","nexthops":[{"ip":"::"}]}],
 "2001:db8:b000:100::/56":[{"peerId":"fe80::1","path":"4200000002","nexthops":[{"hostname":"tor-b"},{"interface":"fab1"}]}],
 "2001:db8:b000::/48":[{"peerId":"fe80::7","path":"4200000009"}]},"totalRoutes":3})json";

BgpView view() {
    return {parse_peers(kSummary).value(), parse_learned(kRoutes).value()};
}

// Of FRR 10.3, shortened.
constexpr std::string_view kGroups = R"({
"FABRIC":{"type":"external","members":{"fab1":{"status":"Established"}}},
"MACHINES":{"type":"external","members":{"fab2":{"status":"Active"},"fe80::5":{"status":"Idle"}}},
"EMPTY":{"type":"internal"}})";

using Ports = std::vector<std::string>;

TEST(RaBgpView, KnowsTheFabricsPorts) {
    Settings settings;
    EXPECT_EQ((Ports{"fab1", "fab2"}), fabric_ports(view(), settings));
    EXPECT_EQ(Ports{"fab1"}, fabric_ports_among(view(), settings, {"swp1", "fab1"}));
    settings.machine_bgp = true;
    EXPECT_TRUE(fabric_ports_among(view(), settings, {"swp1", "fab1"}).empty());
}

TEST(RaBgpView, NeighboursOfTheMachinesGroupAreMachines) {
    BgpView seen = view();
    ASSERT_TRUE(parse_groups(kGroups, seen.neighbours));
    Settings settings;
    EXPECT_EQ(Ports{"fab1"}, fabric_ports(seen, settings));
    settings.machine_group = "FABRIC";
    EXPECT_EQ(Ports{"fab2"}, fabric_ports(seen, settings));
}

TEST(RaBgpView, LeavesOwnRoutesOut) {
    EXPECT_EQ((std::vector<LearnedPrefix>{{prefix("2001:db8:b000::/48"), "fe80::7"},
                                          {prefix("2001:db8:b000:100::/56"), "tor-b"}}),
              view().learned);
}

TEST(RaBgpView, AnOverlapIsWhatAnotherSwitchAnnounces) {
    EXPECT_TRUE(overlaps(view(), prefix("2001:db8:b000::/56")).empty());
    EXPECT_EQ(1u, overlaps(view(), prefix("2001:db8:b000:100::/56")).size());
    EXPECT_EQ(1u, overlaps(view(), prefix("2001:db8:b000:140::/58")).size());  // the other one's covers it
    EXPECT_EQ(1u, overlaps(view(), prefix("2001:db8:b000::/52")).size());      // it covers the other one's
}

TEST(RaBgpView, ASitesOwnAnnouncementIsNone) {
    EXPECT_TRUE(overlaps(view(), prefix("2001:db8:b000:200::/56")).empty());
    EXPECT_EQ(2u, overlaps(view(), prefix("2001:db8:b000::/48")).size());
}

TEST(RaBgpView, AsksForEverythingOfTheSite) {
    EXPECT_EQ("show bgp ipv6 unicast 2001:db8:b000::/48 longer-prefixes",
              learned_command(prefix("2001:db8:b000:100::/56")));
    EXPECT_EQ("show bgp ipv6 unicast 2001:db8::/32 longer-prefixes", learned_command(prefix("2001:db8::/32")));
}

TEST(RaBgpView, SaysWhatItDoesNotUnderstand) {
    EXPECT_TRUE(parse_peers("{}").value().empty());
    EXPECT_TRUE(parse_learned("{}").value().empty());
    BgpView seen = view();
    EXPECT_FALSE(parse_groups("% BGP instance not found", seen.neighbours));
    EXPECT_TRUE(parse_groups("{}", seen.neighbours));
    EXPECT_FALSE(parse_peers("% BGP instance not found"));
    EXPECT_FALSE(parse_learned(R"({"routes":{"nonsense":[{"peerId":"fe80::1"}]}})"));
}

}  // namespace
}  // namespace nett::ra
