#include "agent/sdk/https_url.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

TEST(HttpsUrl, NamesAHostAPortAndATarget) {
    const auto literal = HttpsUrl::parse("https://[2001:DB8:0::1]:8443/a/b?c=d");
    ASSERT_TRUE(literal);
    EXPECT_EQ(literal->host, "2001:db8::1");
    EXPECT_TRUE(literal->literal);
    EXPECT_EQ(literal->authority(), "[2001:db8::1]:8443");
    EXPECT_EQ(literal->target, "/a/b?c=d");
    const auto name = HttpsUrl::parse("https://NOC.example");
    ASSERT_TRUE(name);
    EXPECT_FALSE(name->literal);
    EXPECT_EQ(name->authority() + name->target, "noc.example/");
    EXPECT_EQ(HttpsUrl::parse("https://noc.example:443/")->authority(), "noc.example");
}

TEST(HttpsUrl, LeavesTheFragmentOutOfTheTarget) {
    EXPECT_EQ(HttpsUrl::parse("https://noc.example/a#b")->target, "/a");
    EXPECT_EQ(HttpsUrl::parse("https://noc.example#b?c")->target, "/");
    EXPECT_EQ(HttpsUrl::parse("https://noc.example?x")->target, "/?x");
}

TEST(HttpsUrl, RefusesWhatCannotBeAskedOverIpv6AndTls) {
    for (const auto* bad :
         {"http://noc.example/", "noc.example", "https://", "https://u:p@noc.example/", "https://192.0.2.1/",
          "https://[::1/", "https://[::1]8/", "https://noc.example:0/", "https://noc.example:x/",
          "https://noc.example:", "https://[noc]/", "https://a b/", "https://noc.example/a b",
          "https://noc.example/\r\nX: y", "https://noc.example/\xc3\xa4", "https://-x/", "https://[]/"}) {
        EXPECT_FALSE(HttpsUrl::parse(bad)) << bad;
    }
}

TEST(HttpsUrl, SaysWhatToWriteInstead) {
    EXPECT_EQ(HttpsUrl::parse("http://noc.example/").error().message, "give an https:// URL");
    EXPECT_NE(HttpsUrl::parse("https://192.0.2.1/").error().message.find("IPv6 address in brackets"),
              std::string::npos);
}

}  // namespace
}  // namespace nett
