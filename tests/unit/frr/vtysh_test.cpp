#include "agent/frr/vtysh.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

using namespace std::chrono_literals;

TEST(Vtysh, ReturnsWhatTheProgramPrints) {
    auto output = run_vtysh("/bin/echo", {"--vty_socket", "/run/frr"}, "show bgp ipv6 unicast json");
    ASSERT_TRUE(output) << output.error().to_string();
    EXPECT_EQ("--vty_socket /run/frr -c show bgp ipv6 unicast json\n", *output);
}

TEST(Vtysh, RefusesASecondCommandInOne) {
    auto output = run_vtysh("/bin/echo", {}, "show version\nconfigure terminal");
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kInvalidArgument, output.error().code);
}

TEST(Vtysh, SaysThatTheProgramIsMissing) {
    auto output = run_vtysh("/nowhere/vtysh", {}, "show version");
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kUnavailable, output.error().code);
}

TEST(Vtysh, ReportsAFailureWithItsOutput) {
    auto output = run_vtysh("/bin/sh", {}, "echo no such daemon; exit 1");
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kUnavailable, output.error().code);
    EXPECT_NE(std::string::npos, output.error().message.find("no such daemon"));
}

TEST(Vtysh, KillsAProgramThatHangs) {
    auto output = run_vtysh("/bin/sh", {}, "exec tail -f /dev/null", 50ms);
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kDeadlineExceeded, output.error().code);
}

}  // namespace
}  // namespace nett
