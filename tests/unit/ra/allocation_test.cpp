#include "plugins/ra/allocation.hpp"

#include "tests/unit/ra/fixture.hpp"

namespace nett::ra {
namespace {

const std::string kAggregate = " aggregate 2001:db8:b000::/56\n";

PortRecords numbered(const Settings& settings, const std::vector<std::string>& ports, const PortRecords& known = {}) {
    auto result = allocate(settings, ports, known);
    EXPECT_TRUE(result) << result.error().to_string();
    return result.value_or(PortRecords{});
}

TEST(PortAllocation, NumbersPortsInOrderFromOne) {
    auto records = numbered(settings(kAggregate + " ports swp1-3\n"), {"swp1", "swp2", "swp3"});
    EXPECT_EQ(prefix("2001:db8:b000:1::/64"), records["swp1"].prefix);
    EXPECT_EQ(prefix("2001:db8:b000:3::/64"), records["swp3"].prefix);
}

TEST(PortAllocation, APortThatAppearsLaterMovesNoOther) {
    auto config = settings(kAggregate + " ports swp1-3\n");
    auto first = numbered(config, {"swp1", "swp3"});
    auto second = numbered(config, {"swp1", "swp2", "swp3"}, first);
    EXPECT_EQ(first["swp3"], second["swp3"]);
    EXPECT_EQ(3u, second["swp2"].index);
}

TEST(PortAllocation, APortThatComesBackHasItsOldPrefix) {
    auto config = settings(kAggregate + " ports swp1-9\n");
    auto both = numbered(config, {"swp1", "swp2"});
    auto one = numbered(config, {"swp2", "swp3"}, both);
    EXPECT_FALSE(one["swp1"].active);
    EXPECT_EQ(3u, one["swp3"].index);
    auto again = numbered(config, {"swp1", "swp2", "swp3"}, one);
    EXPECT_EQ(both["swp1"], again["swp1"]);
}

TEST(PortAllocation, RenumbersWithTheAggregateAndKeepsTheIndex) {
    auto first = numbered(settings(kAggregate + " ports swp1-2\n"), {"swp1", "swp2"});
    auto second = numbered(settings(" aggregate 2001:db8:c000::/56\n ports swp1-2\n"), {"swp1", "swp2"}, first);
    EXPECT_EQ(prefix("2001:db8:c000:2::/64"), second["swp2"].prefix);
}

TEST(PortAllocation, UsesEveryPrefixAndThenRefuses) {
    auto config = settings(" aggregate 2001:db8:b000::/62\n ports swp1-9\n");
    auto four = numbered(config, {"swp1", "swp2", "swp3", "swp4"});
    EXPECT_EQ(prefix("2001:db8:b000::/64"), four["swp4"].prefix);
    auto five = allocate(config, {"swp1", "swp2", "swp3", "swp4", "swp5"}, four);
    ASSERT_FALSE(five);
    EXPECT_EQ(Code::kResourceExhausted, five.error().code);
}

TEST(PortAllocation, TakesAnInactivePortsIndexOnlyWhenThereIsNoOther) {
    auto config = settings(" aggregate 2001:db8:b000::/63\n ports swp1-9\n");
    auto two = numbered(config, {"swp1", "swp2"});
    auto moved = numbered(config, {"swp2", "swp3"}, two);
    EXPECT_EQ(two["swp1"].prefix, moved["swp3"].prefix);
    EXPECT_FALSE(moved.contains("swp1"));
    EXPECT_EQ(two["swp2"], moved["swp2"]);
}

TEST(PortAllocation, AConfiguredPrefixIsGivenToNoOtherPort) {
    auto config = settings(kAggregate + " ports swp1-3\n interface swp3\n  prefix 2001:db8:b000:1::/64\n");
    auto records = numbered(config, {"swp1", "swp2", "swp3"});
    EXPECT_EQ(prefix("2001:db8:b000:1::/64"), records["swp3"].prefix);
    EXPECT_EQ(prefix("2001:db8:b000:2::/64"), records["swp1"].prefix);
}

TEST(PortAllocation, RefusesAConfiguredPrefixThatAnotherPortHas) {
    auto known = numbered(settings(kAggregate + " ports swp1-3\n"), {"swp1", "swp2"});
    auto config = settings(kAggregate + " ports swp1-3\n interface swp2\n  prefix 2001:db8:b000:1::/64\n");
    auto result = allocate(config, {"swp1", "swp2"}, known);
    ASSERT_FALSE(result);
    EXPECT_EQ(Code::kFailedPrecondition, result.error().code);
    EXPECT_NE(std::string::npos, result.error().message.find("swp1"));
}

TEST(PortAllocation, RecordsSurviveTheStore) {
    PortRecord derived{7, prefix("2001:db8:b000:7::/64"), prefix("2001:db8:b000::/56"), true};
    PortRecord configured{std::nullopt, prefix("2001:db8:1::/64"), std::nullopt, false};
    EXPECT_EQ(derived, parse_port_record(to_json(derived)).value());
    EXPECT_EQ(configured, parse_port_record(to_json(configured)).value());
    for (const char* text : {"", "[]", "{}", R"({"prefix":"x","active":true})", R"({"prefix":"2001:db8::/64"})"}) {
        auto record = parse_port_record(text);
        ASSERT_FALSE(record) << text;
        EXPECT_EQ(Code::kDataLoss, record.error().code);
    }
}

}  // namespace
}  // namespace nett::ra
