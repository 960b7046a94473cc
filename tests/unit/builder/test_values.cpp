#include <gtest/gtest.h>

#include "builder/values.hpp"

namespace nett::builder {
namespace {

TEST(Values, NamesAreSafeInFilesAndUrls) {
    for (const char* good : {"a", "tenant-a", "node.1-x", "0", "talos-1.13.9"}) EXPECT_TRUE(check_name(good)) << good;
    for (const char* bad : {"", "-a", ".a", "A", "a b", "a_b", "a/b", "ä", "../x"})
        EXPECT_FALSE(check_name(bad)) << bad;
    EXPECT_TRUE(check_name(std::string(63, 'a')));
    EXPECT_FALSE(check_name(std::string(64, 'a')));
}

TEST(Values, PortBindingIsSwitchPortAndPrefix) {
    const auto binding = parse_port_binding("tor-a/swp1=2001:db8:b000:1::/64");
    ASSERT_TRUE(binding) << binding.error().to_string();
    EXPECT_EQ(binding->port, "tor-a/swp1");
    EXPECT_EQ(binding->prefix.to_string(), "2001:db8:b000:1::/64");
    EXPECT_EQ(parse_port_binding("tor-a/swp1")->prefix.length(), 0U) << "the one that the switch advertises";
    for (const char* bad :
         {"", "tor-a", "tor-a/", "swp1=2001:db8::/64", "/swp1=2001:db8::/64", "tor-a/=2001:db8::/64",
          "tor-a/swp1=", "tor-a/swp1=2001:db8::/63", "tor-a/swp1=2001:db8::1/64", "tor-a/swp1=10.0.0.0/8"}) {
        EXPECT_FALSE(parse_port_binding(bad)) << bad;
    }
}

TEST(Values, MetadataServerIsAGlobalAddressWithOptionalPort) {
    EXPECT_EQ(parse_metadata_server("2001:db8:ffff::1")->port(), 443);
    EXPECT_EQ(parse_metadata_server("[2001:db8:ffff::1]")->address().to_string(), "2001:db8:ffff::1");
    EXPECT_EQ(parse_metadata_server("[fd00::1]:8443")->port(), 8443);
    for (const char* bad :
         {"", "::", "fe80::1", "ff02::1", "192.0.2.1", "meta.example", "[2001:db8::1", "2001:db8:meta::1"}) {
        EXPECT_FALSE(parse_metadata_server(bad)) << bad;
    }
}

TEST(Values, ServerTargetIsAUnixSocketOrAnAddressWithAPort) {
    EXPECT_EQ(parse_server_target("unix:/run/nett/nettd.sock").value(), "unix:/run/nett/nettd.sock");
    EXPECT_EQ(parse_server_target("/tmp/a.sock").value(), "unix:/tmp/a.sock");
    EXPECT_EQ(parse_server_target("[2001:DB8::1]:9443").value(), "[2001:db8::1]:9443");
    for (const char* bad : {"", "unix:", "localhost:50051", "[::1]", "127.0.0.1:50051"})
        EXPECT_FALSE(parse_server_target(bad)) << bad;
}

TEST(Values, BmcEndpointIsAnOrigin) {
    EXPECT_EQ(parse_bmc_endpoint("https://[2001:DB8:bc::1]/").value(), "https://[2001:db8:bc::1]");
    EXPECT_EQ(parse_bmc_endpoint("https://[2001:db8:bc::1]:8443").value(), "https://[2001:db8:bc::1]:8443");
    for (const char* bad : {"", "[2001:db8::1]", "http://[2001:db8::1]", "https://bmc.example", "https://192.0.2.1",
                            "https://[2001:db8::1]/redfish", "https://[2001:db8::1]:0x1"}) {
        EXPECT_FALSE(parse_bmc_endpoint(bad)) << bad;
    }
}

TEST(ExtensionLayers, YamlAndJsonGiveTheSameArray) {
    const char* json = R"([{"image":"376.sqsh","metadata":{"name":"schematic","version":"1.0"}}])";
    EXPECT_EQ(parse_extension_layers(json).value(), json);
    EXPECT_EQ(parse_extension_layers("layers:\n- image: 376.sqsh\n  metadata:\n    name: schematic\n    version: 1.0\n")
                  .value(),
              json);
    EXPECT_EQ(parse_extension_layers("layers: []").value(), "[]");
}

TEST(ExtensionLayers, ErrorsSayWhatIsExpected) {
    for (const char* bad :
         {"", "a", "layers: 1", "- 1", "- {metadata: {}}", "{", "layers:\n  - image: [", "extensions: []"}) {
        const auto result = parse_extension_layers(bad);
        ASSERT_FALSE(result) << bad;
        EXPECT_EQ(result.error().code, Code::kInvalidArgument);
    }
    EXPECT_EQ(parse_extension_layers("layers:\n- image: a\n- name: b\n").error().message,
              "line 3: a layer is a mapping with \"image\"");
}

}  // namespace
}  // namespace nett::builder
