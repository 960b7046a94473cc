#include "agent/sdk/media.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "agent/sdk/strings.hpp"

namespace nett {
namespace {

constexpr const char* kOrigin = "https://[2001:db8::1]:8443";

MediaGrant grant_for(std::string file) {
    MediaGrant grant;
    grant.job = "7";
    grant.machine = "node-1";
    grant.file = std::move(file);
    return grant;
}

TEST(Media, AnIssuedUrlHasTheTokenWhoseDigestTheGrantHas) {
    const auto issued = issue_media(kOrigin, grant_for("/var/lib/nett/media/tenant-a.iso")).value();
    const std::string prefix = std::string(kOrigin) + "/m/";
    ASSERT_TRUE(issued.url.starts_with(prefix)) << issued.url;
    const auto token = issued.url.substr(prefix.size(), 32);
    EXPECT_EQ(issued.url, prefix + token + "/tenant-a.iso");
    EXPECT_EQ(issued.grant.token_sha256, sha256_hex(token));
    EXPECT_EQ(media_key(token).value(), issued.grant.token_sha256);
    EXPECT_EQ(issued.grant.job, "7");
}

TEST(Media, NoTwoIssuesShareAToken) {
    const auto one = issue_media(kOrigin, grant_for("/m/a.iso")).value();
    const auto other = issue_media(kOrigin, grant_for("/m/a.iso")).value();
    EXPECT_NE(one.url, other.url);
}

TEST(Media, ARecordNeverHasTheToken) {
    const auto issued = issue_media(kOrigin, grant_for("/m/a.iso")).value();
    const auto token = issued.url.substr(std::string(kOrigin).size() + 3, 32);
    EXPECT_EQ(put_of(issued.grant).value.find(token), std::string::npos);
    EXPECT_EQ(put_of(issued.grant).key, issued.grant.token_sha256);
}

TEST(Media, RefusesFilesThatABmcMayNotTake) {
    for (const auto* file : {"tenant-a.iso", "/m/tenant a.iso", "/m/tenant-a.img", "/m/.iso", "/m/..iso", "/m/a.iso/",
                             "/m/-a.iso", "/m/a?.iso", "/m/", ""}) {
        EXPECT_FALSE(issue_media(kOrigin, grant_for(file))) << file;
    }
    EXPECT_FALSE(issue_media(kOrigin, grant_for("/m/" + std::string(61, 'a') + ".iso")));
    EXPECT_TRUE(issue_media(kOrigin, grant_for("/m/" + std::string(60, 'a') + ".iso")));
}

TEST(Media, AGrantHasTheDigestThatStandsBesideTheImage) {
    const auto image = testing::TempDir() + "media-digest.iso";
    const std::string digest = sha256_hex("image");
    const auto issued = [&](const std::string& text) {
        std::ofstream(image + ".sha256") << text;
        auto issue = issue_media(kOrigin, grant_for(image));
        return issue ? issue->grant.sha256 : issue.error().message;
    };
    EXPECT_EQ(issued(digest + "  media-digest.iso\n"), digest);
    EXPECT_EQ(issued(digest), digest);
    for (const auto& wrong : {std::string(), digest.substr(1), digest + "0", "z" + digest.substr(1) + "  x\n"}) {
        EXPECT_NE(issued(wrong).find("is no line of sha256sum"), std::string::npos) << wrong;
    }
    std::filesystem::remove(image + ".sha256");
    EXPECT_EQ(issue_media(kOrigin, grant_for(image))->grant.sha256, "") << "its first fetch decides";
    auto given = grant_for(image);
    given.sha256 = "given";
    EXPECT_EQ(issue_media(kOrigin, given)->grant.sha256, "given");
}

TEST(Media, RefusesOriginsWithMoreThanSchemeAndAuthority) {
    EXPECT_TRUE(issue_media("http://[2001:db8::1]", grant_for("/m/a.iso")));
    for (const auto* origin : {"https://[2001:db8::1]/", "ftp://[2001:db8::1]", "[2001:db8::1]:80", "https://host:80",
                               "https://[2001:db8::1]:0x", "https://[::1", "https://http://[::1]:80x", ""}) {
        EXPECT_FALSE(issue_media(origin, grant_for("/m/a.iso"))) << origin;
    }
}

TEST(Media, WhatIsNoTokenHasNoKey) {
    for (const auto* token : {"", "00", "0123456789abcdef0123456789abcdeg", "0123456789ABCDEF0123456789ABCDEF"}) {
        EXPECT_FALSE(media_key(token)) << token;
    }
}

TEST(Media, AUseSurvivesItsRecord) {
    MediaUse use;
    use.token_sha256 = "aa";
    use.job = "7";
    use.source = "2001:db8::b";
    use.bytes = 12;
    use.size = 12;
    use.complete = true;
    const auto put = put_of(use);
    const auto back = decode<MediaUse>(put.value).value();
    EXPECT_EQ(put.kind, "media-use");
    EXPECT_EQ(back.job, "7");
    EXPECT_EQ(back.bytes, 12U);
    EXPECT_TRUE(back.complete);
    EXPECT_FALSE(decode<MediaUse>("{}"));
}

}  // namespace
}  // namespace nett
