#include <gtest/gtest.h>

#include "agent/sdk/address.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/boot_script.hpp"

namespace nett::builder {
namespace {

BootScript script_for(const char* endpoint) {
    return {{"\x01\x02", "\x03"}, "\xff", *parse_endpoint6(endpoint)};
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> result;
    for (const std::string_view line : split(text, '\n')) result.emplace_back(line);
    return result;
}

std::size_t index_of(const std::vector<std::string>& lines, std::string_view line) {
    const auto found = std::find(lines.begin(), lines.end(), line);
    EXPECT_NE(found, lines.end()) << line;
    return static_cast<std::size_t>(found - lines.begin());
}

TEST(BootScript, SetsCredentialsBeforeItUsesTheNetwork) {
    const auto lines = lines_of(render_autoexec(script_for("[2001:db8:ffff::1]:443")));
    EXPECT_EQ(lines.front(), "#!ipxe");
    const std::size_t root = index_of(lines, "set cert:hexraw 0102");
    EXPECT_EQ(lines.at(root + 1), "set cert:hexraw 03");
    EXPECT_EQ(lines.at(root + 2), "set privkey:hexraw ff");
    EXPECT_LT(index_of(lines, "set crosscert:hexraw 00"), index_of(lines, "ifopen ||"));
}

TEST(BootScript, AsksTheServerByUuidAndMac) {
    const std::string text = render_autoexec(script_for("[2001:db8:ffff::1]:443"));
    EXPECT_NE(text.find("chain --autofree --timeout 3000 "
                        "https://[2001:db8:ffff::1]/v1/boot/${id}?mac=${net${n}/mac:hexhyp} && goto localboot ||\n"),
              std::string::npos);
    EXPECT_EQ(text.find('@'), std::string::npos) << "a placeholder is left";
}

TEST(BootScript, NamesAPortThatIsNotTheUsualOne) {
    EXPECT_EQ(url_authority(*parse_endpoint6("[2001:db8::1]:443")), "[2001:db8::1]");
    EXPECT_EQ(url_authority(*parse_endpoint6("[2001:db8::1]:8443")), "[2001:db8::1]:8443");
    EXPECT_NE(render_autoexec(script_for("[2001:db8::1]:8443")).find("https://[2001:db8::1]:8443/v1/boot/"),
              std::string::npos);
}

// iPXE stops at the first command that fails, so what may fail has an "||" or leads on.
TEST(BootScript, EndsInALocalBootThatGoesOnWithTheBootOrder) {
    const auto lines = lines_of(render_autoexec(script_for("[2001:db8::1]:443")));
    ASSERT_GE(lines.size(), 2u);
    EXPECT_EQ(lines.back(), "");
    EXPECT_EQ(lines.at(lines.size() - 2), "exit 1");
    for (const std::string& line : lines) {
        if (line.starts_with("ifopen") || line.starts_with("ifclose") || line.starts_with("chain")) {
            EXPECT_TRUE(line.ends_with("||")) << line;
        }
    }
}

}  // namespace
}  // namespace nett::builder
