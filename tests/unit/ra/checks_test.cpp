#include "tests/unit/ra/fixture.hpp"

namespace nett::ra {
namespace {

const std::string kGood = " aggregate 2001:db8:b000::/56\n ports swp1-3\n";

std::vector<std::string> findings(const std::string& lines, bool ports_may_be_missing = false) {
    CheckEnvironment environment{{"lo", "swp1", "swp2", "swp3", "uplink1"}, ports_may_be_missing};
    std::vector<std::string> texts;
    for (const Diagnostic& diagnostic : validate(plugin_entry(lines), environment))
        texts.push_back(diagnostic.to_string());
    return texts;
}

// Exactly one finding, which begins with `place` and contains `words`.
void expect_one(const std::string& lines, const std::string& place, const std::string& words,
                bool missing_allowed = false) {
    auto texts = findings(lines, missing_allowed);
    ASSERT_EQ(1u, texts.size()) << testing::PrintToString(texts);
    EXPECT_EQ(0u, texts[0].find(place)) << texts[0];
    EXPECT_NE(std::string::npos, texts[0].find(words)) << texts[0];
}

TEST(RaChecks, AcceptsAPlainConfiguration) {
    EXPECT_TRUE(findings(kGood).empty());
    EXPECT_TRUE(findings(" interface swp1\n  prefix 2001:db8:1::/64\n").empty());
}

TEST(RaChecks, RefusesOnePrefixOnTwoPorts) {
    expect_one(
        kGood + " interface swp1\n  prefix 2001:db8:b000:7::/64\n interface swp2\n  prefix 2001:db8:b000:7::/64\n",
        "nett.conf:7: error", "2001:db8:b000:7::/64 overlaps 2001:db8:b000:7::/64 of port swp1");
}

TEST(RaChecks, BlamesTheLaterLineWhateverThePortsAreCalled) {
    expect_one(
        kGood + " interface swp2\n  prefix 2001:db8:b000:7::/64\n interface swp1\n  prefix 2001:db8:b000:7::/64\n",
        "nett.conf:7: error", "of port swp2");
}

TEST(RaChecks, RefusesARangeThatMatchesNothing) {
    expect_one(" aggregate 2001:db8:b000::/56\n ports eth100-120\n", "nett.conf:3: error", "eth100-120");
    expect_one(" aggregate 2001:db8:b000::/56\n ports eth100-120\n", "nett.conf:3: warning", "eth100-120", true);
}

TEST(RaChecks, RefusesAPortThatDoesNotExist) {
    expect_one(kGood + " interface swp9\n  prefix 2001:db8:b000:9::/64\n", "nett.conf:4: error", "swp9");
    expect_one(kGood + " interface swp9\n  prefix 2001:db8:b000:9::/64\n", "nett.conf:4: warning", "swp9", true);
}

TEST(RaChecks, RefusesAPrefixThatSlaacCannotUse) {
    expect_one(kGood + " interface swp1\n  prefix 2001:db8:b000:9::/72\n", "nett.conf:5: error", "must be a /64");
}

TEST(RaChecks, RefusesAnAggregateWithoutRoom) {
    expect_one(" aggregate 2001:db8:b000::/72\n ports swp1\n", "nett.conf:2: error", "no room for a /64");
    expect_one(" aggregate 2001:db8:b000::/63\n ports swp1-3\n", "nett.conf:2: error", "room for 2 ports, and 3");
    expect_one(" aggregate fe80::/56\n ports swp1\n", "nett.conf:2: error", "no prefix for hosts");
}

TEST(RaChecks, RefusesPortsWithoutPrefixes) {
    expect_one(" ports swp1-3\n", "nett.conf:2: error", "add \"aggregate PREFIX\"");
    expect_one(" interval 10\n", "nett.conf:1: error", "has no ports");
}

TEST(RaChecks, RefusesLifetimesThatEndBetweenTwoAdvertisements) {
    expect_one(kGood + " interval 60\n", "nett.conf:4: error", "router-lifetime 30 is below the interval 60");
    expect_one(kGood + " preferred-lifetime 900\n", "nett.conf:4: error", "exceeds valid-lifetime 600");
    expect_one(kGood + " preferred-lifetime 5\n", "nett.conf:4: error", "below the interval 10");
}

TEST(RaChecks, WarnsOfAPrefixThatBgpDoesNotAnnounce) {
    expect_one(kGood + " interface swp1\n  prefix 2001:db8:1::/64\n", "nett.conf:5: warning", "outside the aggregate");
}

TEST(RaChecks, ABridgeIsOneInterface) {
    EXPECT_TRUE(findings(" mode bridge\n aggregate 2001:db8:b000:100::/64\n ports swp1\n").empty());
    expect_one(" mode bridge\n aggregate 2001:db8:b000:100::/56\n ports swp1-3\n", "nett.conf:2: error",
               "mode bridge advertises on one interface, and 3 are configured");
}

TEST(RaChecks, WarnsOfFlagsThatStopIpxe) {
    expect_one(kGood + " managed-flag\n", "nett.conf:4: warning", "iPXE waits for DHCPv6");
    expect_one(kGood + " other-config-flag\n", "nett.conf:4: warning", "iPXE waits for DHCPv6");
}

TEST(RaChecks, LooksAtWhatOnePortSaysOnItsOwn) {
    EXPECT_TRUE(findings(kGood + " interface swp1\n  preference low\n  mtu 9000\n").empty());
    expect_one(kGood + " interface swp1\n  interval 60\n", "nett.conf:5: error",
               "swp1: router-lifetime 30 is below the interval 60");
    expect_one(kGood + " interface swp1\n  router-lifetime 20\n  preferred-lifetime 900\n", "nett.conf:6: error",
               "exceeds valid-lifetime 600");
    expect_one(kGood + " interface swp1\n  managed-flag\n", "nett.conf:5: warning", "iPXE waits for DHCPv6");
    // What all ports share is blamed once.
    expect_one(kGood + " interval 60\n interface swp1\n  mtu 9000\n", "nett.conf:4: error", "below the interval 60");
}

TEST(RaChecks, WarnsOfAnInterfaceThatNothingIsAdvertisedOn) {
    expect_one(" aggregate 2001:db8:b000::/56\n ports swp1\n interface swp3\n  mtu 9000\n", "nett.conf:4: warning",
               "add either");
}

TEST(RaChecks, TellsEverythingAtOnce) {
    EXPECT_EQ(3u, findings(" aggregate 2001:db8:b000::/72\n ports eth1\n interval 60\n").size());
}

TEST(RaSettings, HasTheDefaultsOfTheFabric) {
    Settings values = settings(kGood);
    EXPECT_EQ(std::chrono::seconds(10), values.shared.interface.max_interval);
    EXPECT_EQ(std::chrono::seconds(30), values.shared.interface.router_lifetime);
    EXPECT_EQ(std::chrono::seconds(600), values.shared.lifetimes.valid_lifetime);
    EXPECT_EQ(std::chrono::seconds(300), values.shared.lifetimes.preferred_lifetime);
    EXPECT_FALSE(values.shared.interface.managed);
    EXPECT_FALSE(values.shared.interface.other_config);
}

TEST(RaSettings, ReadsEveryCommand) {
    Settings values = settings(kGood +
                               " interval 4\n router-lifetime 1800\n valid-lifetime 900\n"
                               " preferred-lifetime 800\n preference high\n rdnss 2001:db8::53\n mtu 9000\n"
                               " mode bridge\n managed-flag\n other-config-flag\n withdraw-on-stop\n"
                               " interface swp1\n  prefix 2001:db8:b000:7::/64\n");
    EXPECT_EQ(Mode::kBridge, values.mode);
    EXPECT_TRUE(values.withdraw_on_stop);
    EXPECT_TRUE(values.shared.interface.managed && values.shared.interface.other_config);
    EXPECT_EQ(prefix("2001:db8:b000:7::/64"), values.overrides.at("swp1"));
    EXPECT_EQ(RouterPreference::kHigh, values.shared.interface.preference);
    EXPECT_EQ(9000u, values.shared.interface.mtu);
    ASSERT_EQ(1u, values.shared.interface.dns_servers.size());
    EXPECT_EQ(std::chrono::seconds(900), values.shared.interface.dns_servers[0].lifetime);
}

TEST(RaSettings, APortDiffersOnlyInWhatItsNodeSays) {
    Settings values = settings(
        kGood +
        " valid-lifetime 900\n preference high\n rdnss 2001:db8::53\n rdnss 2001:db8::54\n"
        " interface swp1\n  mtu 9000\n  interval 5\n"
        " interface swp2\n  valid-lifetime 1200\n  preference low\n  rdnss 2001:db8::55\n  other-config-flag\n");
    EXPECT_TRUE(values.overrides.empty());
    const Advertisement& first = values.advertisement_of("swp1");
    EXPECT_EQ(9000u, first.interface.mtu);
    EXPECT_EQ(std::chrono::seconds(5), first.interface.max_interval);
    EXPECT_EQ(RouterPreference::kHigh, first.interface.preference);
    EXPECT_EQ(2u, first.interface.dns_servers.size());
    const Advertisement& second = values.advertisement_of("swp2");
    EXPECT_FALSE(second.interface.mtu);
    EXPECT_EQ(RouterPreference::kLow, second.interface.preference);
    EXPECT_TRUE(second.interface.other_config);
    EXPECT_EQ(std::chrono::seconds(1200), second.lifetimes.valid_lifetime);
    ASSERT_EQ(1u, second.interface.dns_servers.size());
    EXPECT_EQ(std::chrono::seconds(1200), second.interface.dns_servers[0].lifetime);
    EXPECT_EQ(&values.shared, &values.advertisement_of("swp3"));
    EXPECT_FALSE(values.shared.interface.mtu);
}

}  // namespace
}  // namespace nett::ra
