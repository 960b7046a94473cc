#include "agent/sdk/address.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

Prefix6 prefix(std::string_view text) {
    return Prefix6::parse(text).value();
}

TEST(Prefix6, PrintsWhatItParses) {
    for (const auto* text : {"2001:db8:b000::/56", "::/0", "fd00::/8", "2001:db8:ffff::1/128"}) {
        EXPECT_EQ(prefix(text).to_string(), text);
    }
}

TEST(Prefix6, NamesThePrefixMeantWhenHostBitsAreSet) {
    const auto parsed = Prefix6::parse("2001:db8::1/64");
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message, "\"2001:db8::1/64\" has bits set behind its length; the prefix is 2001:db8::/64");
}

TEST(Prefix6, RefusesWhatIsNoPrefix) {
    for (const auto* text : {"", "2001:db8::", "2001:db8::/", "2001:db8::/129", "2001:db8::/-1", "192.0.2.0/24",
                             "fe80::%eth0/64", "2001:db8:boot::/64", "2001:db8::/64 "}) {
        EXPECT_FALSE(Prefix6::parse(text)) << text;
    }
}

TEST(Prefix6, GivesEachPortItsOwnPrefixInsideTheAggregate) {
    const auto aggregate = prefix("2001:db8:b000:100::/56");
    EXPECT_EQ(aggregate.count(64), 256U);
    EXPECT_EQ(aggregate.subnet(0, 64).to_string(), "2001:db8:b000:100::/64");
    EXPECT_EQ(aggregate.subnet(7, 64).to_string(), "2001:db8:b000:107::/64");
    EXPECT_EQ(aggregate.subnet(255, 64).to_string(), "2001:db8:b000:1ff::/64");
    EXPECT_EQ(prefix("2001:db8::/58").count(64), 64U);
    EXPECT_EQ(prefix("2001:db8::/64").count(56), 0U);
    EXPECT_EQ(prefix("::/0").count(64), std::uint64_t{1} << 32U);
}

TEST(Prefix6, SubnetsThatAreNotOnByteBoundariesDoNotOverlap) {
    const auto aggregate = prefix("2001:db8::/61");
    for (std::uint64_t a = 0; a < 8; ++a) {
        EXPECT_TRUE(aggregate.contains(aggregate.subnet(a, 64)));
        for (std::uint64_t b = 0; b < a; ++b) EXPECT_FALSE(aggregate.subnet(a, 64).overlaps(aggregate.subnet(b, 64)));
    }
}

TEST(Prefix6, HostAddsTheInterfaceIdentifier) {
    EXPECT_EQ(prefix("2001:db8:b000:3::/64").host(1).to_string(), "2001:db8:b000:3::1");
    EXPECT_EQ(prefix("2001:db8::/64").host(0x0102030405060708).to_string(), "2001:db8::102:304:506:708");
}

TEST(Prefix6, ContainsAndOverlaps) {
    EXPECT_TRUE(prefix("2001:db8::/32").contains(parse_address6("2001:db8:ffff::1").value()));
    EXPECT_FALSE(prefix("2001:db8::/32").contains(parse_address6("2001:db9::1").value()));
    EXPECT_TRUE(prefix("2001:db8::/64").overlaps(prefix("2001:db8::/56")));
    EXPECT_FALSE(prefix("2001:db8::/64").contains(prefix("2001:db8::/56")));
}

TEST(Endpoint6, RoundTripsAndRefuses) {
    EXPECT_EQ(to_string(parse_endpoint6("[2001:db8::1]:443").value()), "[2001:db8::1]:443");
    for (const auto* text :
         {"2001:db8::1:443", "[2001:db8::1]", "[2001:db8::1]:0", "[2001:db8::1]:65536", "[::1]:4a", "", "["}) {
        EXPECT_FALSE(parse_endpoint6(text)) << text;
    }
}

TEST(Address6, RefusesZonesBecauseUrlsCannotCarryThem) {
    const auto parsed = parse_address6("fe80::1%swp1");
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().message.find("zone id"), std::string::npos);
}

}  // namespace
}  // namespace nett
