#include "agent/frr/vtysh.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace nett {
namespace {

using namespace std::chrono_literals;

// /bin/sh stands in for vtysh: "-c COMMAND" means the same to both.
TEST(Vtysh, ReturnsWhatTheProgramPrints) {
    auto output = Vtysh("/bin/echo", {"--vty_socket", "/run/frr"}).show("show bgp ipv6 unicast json");
    ASSERT_TRUE(output) << output.error().to_string();
    EXPECT_EQ("--vty_socket /run/frr -c show bgp ipv6 unicast json\n", *output);
}

TEST(Vtysh, AsksOneDaemonWhenToldSo) {
    EXPECT_EQ("-d bgpd -c show version\n", Vtysh("/bin/echo", {}).show("bgpd", "show version").value());
}

TEST(Vtysh, KeepsErrorTextOutOfTheAnswer) {
    EXPECT_EQ("{}\n", Vtysh("/bin/sh", {}).show("echo \"Can't open /etc/frr/vtysh.conf\" >&2; echo {}").value());
}

TEST(Vtysh, RefusesASecondCommandInOne) {
    auto output = Vtysh("/bin/echo", {}).show("show version\nconfigure terminal");
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kInvalidArgument, output.error().code);
    output = Vtysh("/bin/echo", {}).configure("mgmtd", {"interface swp1\nrouter bgp"});
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kInvalidArgument, output.error().code);
}

TEST(Vtysh, SaysThatTheProgramIsMissing) {
    auto output = Vtysh("/nowhere/vtysh", {}).show("show version");
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kUnavailable, output.error().code);
}

TEST(Vtysh, ReportsAFailureWithItsWords) {
    auto output = Vtysh("/bin/sh", {}).show("echo '% Unknown command' >&2; exit 1");
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kFailedPrecondition, output.error().code);
    EXPECT_NE(std::string::npos, output.error().message.find("% Unknown command"));
}

TEST(Vtysh, ADaemonThatIsAwayIsUnavailable) {
    auto output = Vtysh("/bin/sh", {}).show("echo 'Exiting: failed to connect to any daemons.' >&2; exit 1");
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kUnavailable, output.error().code);
}

TEST(Vtysh, KillsAProgramThatHangs) {
    auto output = Vtysh("/bin/sh", {}).show("exec tail -f /dev/null", 50ms);
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kDeadlineExceeded, output.error().code);
}

TEST(Vtysh, CancelEndsACallThatIsUnderWay) {
    Vtysh vtysh("/bin/sh", {});
    std::thread other([&] { vtysh.cancel(); });
    auto output = vtysh.show("exec tail -f /dev/null");
    other.join();
    ASSERT_FALSE(output);
    EXPECT_EQ(Code::kUnavailable, output.error().code);
}

TEST(Vtysh, FeedsTheLinesOfABatchAsAFile) {
    // sh: -c PROGRAM, then "-d mgmtd --no-fork -f /dev/stdin" as its $0 and on.
    Vtysh vtysh("/bin/sh", {"-c", "echo \"$@\"; cat \"$5\"", "vtysh"});
    auto output = vtysh.configure("mgmtd", {"interface swp1", " no ipv6 nd suppress-ra", "exit"});
    ASSERT_TRUE(output) << output.error().to_string();
    EXPECT_EQ("-d mgmtd --no-fork -f /dev/stdin\ninterface swp1\n no ipv6 nd suppress-ra\nexit\n", *output);
}

}  // namespace
}  // namespace nett
