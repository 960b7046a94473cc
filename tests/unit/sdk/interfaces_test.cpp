#include <gtest/gtest.h>

#include "agent/sdk/config.hpp"

namespace nett {
namespace {

using Names = std::vector<std::string>;

const Names kPorts{"lo",    "eth0",      "swp1",      "swp2",      "swp3",   "swp10",
                   "swp11", "Ethernet0", "Ethernet4", "Ethernet8", "br-lan", "swp1s0"};

Names resolve(std::string_view text) {
    return resolve_interfaces(text, kPorts).value();
}

TEST(Interfaces, ARangeMatchesOnlyLinksThatExistInNaturalOrder) {
    EXPECT_EQ(resolve("swp1-48"), (Names{"swp1", "swp2", "swp3", "swp10", "swp11"}));
}

TEST(Interfaces, SteppedRangesAreSonicsLanes) {
    EXPECT_EQ(resolve("Ethernet0-188 step 4"), (Names{"Ethernet0", "Ethernet4", "Ethernet8"}));
    EXPECT_EQ(resolve("Ethernet0-188 step 8"), (Names{"Ethernet0", "Ethernet8"}));
}

TEST(Interfaces, ListsAndExclusions) {
    EXPECT_EQ(resolve("swp10,swp1-3,!swp2"), (Names{"swp1", "swp3", "swp10"}));
    EXPECT_EQ(resolve("swp1,swp1"), (Names{"swp1"}));
}

TEST(Interfaces, ANameWithADashIsNoRange) {
    EXPECT_EQ(resolve("br-lan"), (Names{"br-lan"}));
}

TEST(Interfaces, NothingMatchedIsAnEmptyAnswer) {
    EXPECT_TRUE(resolve("swp20-30").empty());
}

TEST(Interfaces, BadSyntaxSaysWhatToWrite) {
    for (const auto* text : {"", "swp3-1", "swp1 step 2", "swp1-8 step 0", "a/b", "swp1,,swp2", "swp1-99999999",
                             "averyveryverylongname"}) {
        EXPECT_FALSE(check_interfaces(text)) << text;
    }
}

TEST(Interfaces, NaturalOrder) {
    EXPECT_TRUE(natural_less("swp2", "swp10"));
    EXPECT_FALSE(natural_less("swp10", "swp2"));
    EXPECT_TRUE(natural_less("swp1", "swp1s0"));
    EXPECT_TRUE(natural_less("a", "b"));
    EXPECT_FALSE(natural_less("swp1", "swp1"));
}

}  // namespace
}  // namespace nett
