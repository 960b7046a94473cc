#include "plugins/metadata/homelab_settings.hpp"

#include <gtest/gtest.h>

#include "tests/unit/metadata/settings_lines.hpp"

namespace nett::metadata::test {
namespace {

std::vector<std::string> findings(const std::vector<Line>& lines) {
    return texts_of(validate_homelab(plugin_entry(lines)));
}

TEST(HomelabSettings, NothingIsAskedForWhileItIsOff) {
    EXPECT_TRUE(findings({}).empty());
    EXPECT_TRUE(homelab_settings_of(plugin_entry({}).children()).listen.empty());
}

TEST(HomelabSettings, APrivateAddressIsTaken) {
    const std::vector<Line> lines{{"homelab listen", {{"endpoint", "192.168.0.66:8080"}}},
                                  {"homelab tenant", {{"name", "home"}}}};
    EXPECT_EQ(findings(lines), std::vector<std::string>{});
    const auto settings = homelab_settings_of(plugin_entry(lines).children());
    ASSERT_EQ(settings.listen.size(), 1U);
    EXPECT_EQ(homelab_authority(settings.listen[0]), "192.168.0.66:8080");
    EXPECT_EQ(settings.tenant, "home");
}

TEST(HomelabSettings, AGlobalAddressNeedsAWordOfItsOwn) {
    for (const auto* endpoint : {"[2001:db8::1]:80", "[::]:80", "0.0.0.0:80", "203.0.113.1:80"}) {
        const auto found =
            findings({{"homelab listen", {{"endpoint", endpoint}}}, {"homelab tenant", {{"name", "home"}}}});
        ASSERT_EQ(found.size(), 1U) << endpoint;
        EXPECT_NE(found[0].find("error: "), std::string::npos);
        EXPECT_NE(found[0].find("write \"homelab listen-global "), std::string::npos);
        EXPECT_TRUE(
            findings({{"homelab listen-global", {{"endpoint", endpoint}}}, {"homelab tenant", {{"name", "home"}}}})
                .empty());
    }
}

TEST(HomelabSettings, SaysWhatIsMissingOrTaken) {
    EXPECT_EQ(findings({{"homelab listen", {{"endpoint", "192.168.0.66:8080"}}}}).at(0),
              "nett.conf:2: error: \"homelab tenant\" is missing; add e.g. \"homelab tenant home\"");
    EXPECT_EQ(findings({{"listen", {{"endpoint", "[fd00::1]:443"}}},
                        {"homelab listen", {{"endpoint", "[fd00::1]:443"}}},
                        {"homelab tenant", {{"name", "home"}}}})
                  .at(0),
              "nett.conf:3: error: \"listen\" has this address and port already");
    EXPECT_EQ(findings({{"homelab listen", {{"endpoint", "home"}}}, {"homelab tenant", {{"name", "home"}}}}).size(),
              1U);
}

}  // namespace
}  // namespace nett::metadata::test
