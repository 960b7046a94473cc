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
    EXPECT_EQ("", values.interface);
    EXPECT_EQ("nett-anycast", values.tun_device);
    EXPECT_FALSE(values.dry_run);
    EXPECT_TRUE(values.checks.empty());
    EXPECT_EQ(std::chrono::seconds(3), values.lease);
    EXPECT_EQ((ListEntry{"NETT-ANYCAST", 5}), values.gate);
    EXPECT_EQ((ListEntry{"NETT-DRAIN", 5}), values.drain);
    EXPECT_TRUE(values.required.empty());
}

TEST(AnycastSettings, ReadsEveryCommand) {
    Settings values =
        settings(kAddress +
                 " interface eth0\n lease 5\n gate prefix-list NETT-ANYCAST sequence 7\n require metadata\n"
                 " require store\n check-interval 100\n rise 4\n fall 1\n drain prefix-list NETT-DRAIN sequence 8\n"
                 " drain-time 500\n hold-down 3 longest 7\n dry-run\n tun-device any0\n");
    EXPECT_EQ("eth0", values.interface);
    EXPECT_EQ((ListEntry{"NETT-ANYCAST", 7}), values.gate);
    EXPECT_EQ((ListEntry{"NETT-DRAIN", 8}), values.drain);
    EXPECT_EQ(std::chrono::milliseconds(500), values.drain_time);
    EXPECT_EQ((HoldDown{std::chrono::seconds(3), std::chrono::seconds(7)}), values.hold_down);
    EXPECT_TRUE(values.dry_run);
    EXPECT_EQ("any0", values.tun_device);
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

TEST(AnycastSettings, ReadsAnHttpsCheck) {
    Settings values =
        settings(kAddress +
                 " check web https\n  target [2001:db8:ffff::1]:443\n  class shared\n  interval 5000\n"
                 "  fast-interval 100\n  timeout 700\n  rise 4\n  fall 3\n  splay 0\n  ca /a\n  certificate /b\n"
                 "  private-key /c\n  server-name meta\n  path /v1/x\n  expect-status 404\n");
    ASSERT_EQ(1u, values.checks.size());
    CheckSettings expected;
    expected.name = "web", expected.type = CheckType::kHttps, expected.scope = CheckClass::kShared;
    expected.target = parse_endpoint6("[2001:db8:ffff::1]:443").value();
    expected.interval = std::chrono::milliseconds(5000), expected.fast_interval = std::chrono::milliseconds(100);
    expected.timeout = std::chrono::milliseconds(700);
    expected.rise = 4, expected.fall = 3, expected.splay_percent = 0;
    expected.ca = "/a", expected.certificate = "/b", expected.private_key = "/c", expected.server_name = "meta";
    expected.path = "/v1/x", expected.expect_status = 404;
    EXPECT_EQ(expected, values.checks[0]);
}

TEST(AnycastSettings, ReadsAProgramsCheck) {
    Settings values = settings(kAddress + " check disk exec\n  command /usr/bin/test -w  /var/lib\n  user daemon\n");
    EXPECT_EQ((std::vector<std::string>{"/usr/bin/test", "-w", "/var/lib"}), values.checks.at(0).command);
    EXPECT_EQ("daemon", values.checks[0].user);
}

TEST(AnycastSettings, RefusesChecksThatCannotRun) {
    const std::vector<std::pair<std::string, std::string>> rows{
        {" check a tcp\n", "nett.conf:3: error: check a tcp has no target; add \"target [ADDRESS]:PORT\""},
        {" check a exec\n",
         "nett.conf:3: error: check a exec has no command; add \"command /PATH/TO/PROGRAM ARGUMENTS\""},
        {" check a exec\n  command true\n", "nett.conf:4: error: a command begins with the absolute path of a program"},
        {" check a tcp\n  target [::1]:1\n  path /x\n",
         "nett.conf:5: error: \"path\" says nothing to a check of type tcp"},
        {" check a https\n  target [::1]:1\n  certificate /x\n",
         "nett.conf:3: error: check a needs both, certificate and private-key, or neither"},
        {" check a http\n  target [::1]:1\n  path x\n",
         "nett.conf:5: error: a path begins with \"/\" and has no blanks; write them as %20"},
    };
    for (const auto& [lines, message] : rows) EXPECT_EQ(std::vector<std::string>{message}, findings(kAddress + lines));
}

TEST(AnycastSettings, TheGateAndTheDrainNeedAListEach) {
    EXPECT_EQ(1u, findings(kAddress + " gate prefix-list A sequence 5\n drain prefix-list A sequence 6\n").size());
    EXPECT_EQ(1u, findings(kAddress + " gate prefix-list NETT-DRAIN sequence 7\n").size());
}

TEST(AnycastSettings, TheGateAndTheDrainCanBeSwitchedOff) {
    Settings values = settings(kAddress + " gate off\n drain off\n");
    EXPECT_FALSE(values.gate);
    EXPECT_FALSE(values.drain);
    EXPECT_EQ(
        (std::vector<std::string>{"nett.conf:4: error: \"gate off\" contradicts \"gate prefix-list A sequence 5\""}),
        findings(kAddress + " gate prefix-list A sequence 5\n gate off\n"));
}

TEST(AnycastSettings, RefusesADeviceNameThatTheKernelWouldCut) {
    EXPECT_EQ(1u, findings(kAddress + " tun-device a-name-of-more-than-15\n").size());
}

TEST(AnycastSettings, CleansUpTheAddressAndClosesTheLists) {
    auto cleanup = [](const std::string& lines) { return cleanup_of(plugin_entry(lines).children()); };
    Cleanup all = cleanup(kAddress + " gate prefix-list G sequence 5\n drain prefix-list D sequence 6\n");
    ASSERT_EQ(1u, all.addresses.size());
    EXPECT_EQ("lo", all.addresses[0].interface);
    EXPECT_EQ("2001:db8:ffff::1/128", all.addresses[0].address.to_string());
    const Prefix6 address = Prefix6::parse("2001:db8:ffff::1/128").value();
    EXPECT_EQ((std::vector<PrefixListEntry>{{"G", 5, false, address}, {"D", 6, false, address}}), all.entries);
    EXPECT_EQ("eth0", cleanup(kAddress + " interface eth0\n").addresses.at(0).interface);
    EXPECT_TRUE(cleanup("").addresses.empty());
}

TEST(AnycastSettings, RefusesAListNameThatIsNoName) {
    EXPECT_EQ(1u, findings(kAddress + " gate prefix-list X[1] sequence 5\n").size());
}

}  // namespace
}  // namespace nett::anycast
