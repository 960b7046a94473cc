#include "plugins/metadata/settings.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/metadata/test_pki.hpp"

namespace nett::metadata::test {
namespace {

// The node that the agent's parser would hand over: id, argument, value.
struct Line {
    std::string id;
    std::string argument;
    std::string value;
};

ConfigEntry plugin_entry(const std::vector<Line>& lines) {
    ConfigEntry plugin("plugin metadata", "plugin metadata", {}, {"nett.conf", 1}, 0);
    unsigned number = 1;
    for (const auto& line : lines) {
        ConfigEntry entry(line.id, line.id + " " + line.value, {{line.argument, line.value}}, {"nett.conf", ++number},
                          number);
        plugin.children().entries().push_back(std::move(entry));
    }
    return plugin;
}

class SettingsTest : public testing::Test {
protected:
    std::vector<Line> good() const {
        return {{"listen", "endpoint", "[2001:db8:ffff::1]:443"},
                {"server-address", "address", "2001:db8:ffff::1"},
                {"certificate", "file", pem.write("server.pem", server.certificate_pem() + ca.certificate_pem())},
                {"private-key", "file", pem.write("server.key", server.key_pem())},
                {"client-ca", "file", pem.write("ca.pem", ca.certificate_pem())}};
    }
    static std::vector<std::string> findings(const std::vector<Line>& lines) {
        std::vector<std::string> out;
        for (const auto& one : validate(plugin_entry(lines), {})) out.push_back(one.to_string());
        return out;
    }

    PemFiles pem;
    Identity ca = make_ca("Platform Root");
    Identity server = make_server(ca);
};

TEST_F(SettingsTest, FindsNothingWrongWithAGoodNode) {
    EXPECT_EQ(findings(good()), std::vector<std::string>{});
    const auto settings = settings_of(plugin_entry(good()).children());
    ASSERT_EQ(settings.listen.size(), 1U);
    EXPECT_EQ(settings.listen[0].port(), 443);
    EXPECT_EQ(settings.limits.total, 4096);
    EXPECT_EQ(settings.limits.per_source, 64);
    EXPECT_EQ(settings.service.fetch_timeout, std::chrono::seconds(15));
    EXPECT_EQ(settings.service.server_address->to_string(), "2001:db8:ffff::1");
}

TEST_F(SettingsTest, NamesEverythingThatIsMissingAtOnce) {
    const auto found = findings({});
    EXPECT_EQ(found.size(), 4U);
    EXPECT_EQ(found[0], "nett.conf:1: error: \"listen\" is missing; add e.g. \"listen [2001:db8:ffff::1]:443\"");
}

TEST_F(SettingsTest, NamesTheLineOfAnUnreadableFile) {
    auto lines = good();
    lines[2].value = pem.path("absent.pem");
    lines[4].value = pem.path("absent-ca.pem");
    const auto found = findings(lines);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_TRUE(found[0].starts_with("nett.conf:4: error: " + pem.path("absent.pem"))) << found[0];
    EXPECT_TRUE(found[1].starts_with("nett.conf:6: error: " + pem.path("absent-ca.pem"))) << found[1];
}

TEST_F(SettingsTest, NamesAKeyThatIsNotTheCertificates) {
    auto lines = good();
    lines[3].value = pem.write("other.key", make_client(ca, "x").key_pem());
    const auto found = findings(lines);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(found[0].starts_with("nett.conf:5: error: ")) << found[0];
    EXPECT_NE(found[0].find("does not belong"), std::string::npos);
}

TEST_F(SettingsTest, WarnsOfWhatMachinesWillRefuse) {
    auto lines = good();
    lines[1].value = "2001:db8:ffff::2";
    lines[2].value = pem.write("leaf.pem", server.certificate_pem());
    const auto found = findings(lines);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_TRUE(found[0].starts_with("nett.conf:4: warning: the file does not end with the root")) << found[0];
    EXPECT_TRUE(found[1].starts_with("nett.conf:3: warning: the certificate has no subject alternative name"))
        << found[1];
}

TEST_F(SettingsTest, WarnsOfAnExpiredCertificateAndAnOpenKey) {
    const auto expired = make_server(ca, -7200, 3600);
    auto lines = good();
    lines[2].value = pem.write("expired.pem", expired.certificate_pem() + ca.certificate_pem());
    lines[3].value = pem.write("expired.key", expired.key_pem());
    std::filesystem::permissions(lines[3].value, std::filesystem::perms(0644));
    const auto found = findings(lines);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0], "nett.conf:4: warning: the certificate has expired; renew it");
    EXPECT_TRUE(found[1].starts_with("nett.conf:5: warning: ")) << found[1];
}

TEST_F(SettingsTest, RefusesSetNamesThatNoUrlCarries) {
    auto lines = good();
    lines.push_back({"rescue-set", "name", "a/b"});
    EXPECT_EQ(findings(lines).size(), 1U);
}

}  // namespace
}  // namespace nett::metadata::test
