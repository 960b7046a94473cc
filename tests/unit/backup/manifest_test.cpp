#include <gtest/gtest.h>

#include "agent/core/backup/manifest.hpp"

namespace nett::test {
namespace {

const std::string kDigest(64, 'a');

BackupManifest example() {
    return {"0.1.0",
            "2026-11-21T12:00:00Z",
            "meta-1",
            {{"nett.conf", "configuration", "/etc/nett/nett.conf", kDigest, 12, 0640}}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return text;
}

std::string refusal(const std::string& text) {
    const auto parsed = parse_manifest(text);
    return parsed ? "accepted" : parsed.error().message;
}

TEST(Manifest, ReadsWhatItWrote) {
    const auto parsed = parse_manifest(to_json_text(example()));
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(to_json_text(*parsed), to_json_text(example()));
    EXPECT_EQ(parsed->files.at(0).mode, 0640U);
    EXPECT_EQ(parsed->hostname, "meta-1");
}

TEST(Manifest, NewerFormatIsRefusedWithWhatToInstall) {
    EXPECT_NE(refusal(replaced(to_json_text(example()), "\"format\":1", "\"format\":2"))
                  .find("use the nett-restore of nett 0.1.0"),
              std::string::npos);
}

TEST(Manifest, PathsThatClimbOrAreRelativeAreRefused) {
    const auto text = to_json_text(example());
    EXPECT_NE(refusal(replaced(text, "/etc/nett/nett.conf", "/etc/../root/x")), "accepted");
    EXPECT_NE(refusal(replaced(text, "/etc/nett/nett.conf", "etc/nett.conf")), "accepted");
    EXPECT_NE(refusal(replaced(text, "\"nett.conf\"", "\"../nett.conf\"")), "accepted");
    EXPECT_EQ(refusal(replaced(text, "/etc/nett/nett.conf", "")), "accepted");  // rides along
}

TEST(Manifest, NonsenseIsRefused) {
    for (const auto* text : {"", "[]", "{}", "{\"format\":1}", "{\"format\":1,\"files\":[1]}"}) {
        EXPECT_NE(refusal(text), "accepted") << text;
    }
    EXPECT_NE(refusal(replaced(to_json_text(example()), kDigest, "aa")), "accepted");
    EXPECT_NE(refusal(replaced(to_json_text(example()), "0640", "rw-r")), "accepted");
}

TEST(Manifest, OnePlaceForEachFile) {
    auto twice = example();
    twice.files.push_back(twice.files.front());
    EXPECT_NE(refusal(to_json_text(twice)).find("is there twice"), std::string::npos);
    twice.files.back().name = "other";
    EXPECT_NE(refusal(to_json_text(twice)).find("is there twice"), std::string::npos);
}

}  // namespace
}  // namespace nett::test
