#include "tests/unit/bgp-anycast/fixture.hpp"

namespace nett::anycast {
namespace {

const std::string kAddress = " address 2001:db8:ffff::1/128\n";

std::vector<std::string> findings(const std::string& lines, bool ports_may_be_missing = false) {
    std::vector<std::string> texts;
    for (const Diagnostic& diagnostic : validate(plugin_entry(lines), {{"lo", "eth0"}, ports_may_be_missing})) {
        texts.push_back(diagnostic.to_string());
    }
    return texts;
}

TEST(AnycastSettings, HasDefaults) {
    Settings values = settings(kAddress);
    EXPECT_EQ("lo", values.interface);
    EXPECT_EQ(std::chrono::seconds(3), values.lease);
    EXPECT_FALSE(values.gate);
    EXPECT_TRUE(values.required.empty());
}

TEST(AnycastSettings, ReadsEveryCommand) {
    Settings values =
        settings(kAddress +
                 " interface eth0\n lease 5\n gate prefix-list NETT-ANYCAST sequence 7\n require metadata\n"
                 " require store\n check-interval 100\n rise 4\n fall 1\n");
    EXPECT_EQ("eth0", values.interface);
    EXPECT_EQ((Gate{"NETT-ANYCAST", 7}), values.gate);
    EXPECT_EQ((std::set<std::string>{"metadata", "store"}), values.required);
    EXPECT_EQ(std::chrono::milliseconds(100), values.check_interval);
    EXPECT_EQ(4, values.rise);
    EXPECT_EQ(1, values.fall);
    EXPECT_TRUE(findings(kAddress).empty());
}

TEST(AnycastSettings, RefusesWhatCannotBeAnnounced) {
    EXPECT_EQ(
        std::vector<std::string>{"nett.conf:1: error: plugin bgp-anycast has no address; add \"address ADDRESS/128\""},
        findings(""));
    EXPECT_EQ(1u, findings(" address 2001:db8:ffff::/64\n").size());
    EXPECT_EQ(1u, findings(" address fe80::1/128\n").size());
    EXPECT_EQ(1u, findings(" address ::1/128\n").size());
}

TEST(AnycastSettings, RefusesAMissingInterface) {
    auto texts = findings(kAddress + " interface dummy0\n");
    ASSERT_EQ(1u, texts.size());
    EXPECT_EQ(0u, texts[0].find("nett.conf:3: error: there is no interface dummy0"));
    EXPECT_EQ(0u, findings(kAddress + " interface dummy0\n", true)[0].find("nett.conf:3: warning"));
}

TEST(AnycastSettings, RefusesAListNameThatIsNoName) {
    EXPECT_EQ(1u, findings(kAddress + " gate prefix-list X[1] sequence 5\n").size());
}

}  // namespace
}  // namespace nett::anycast
