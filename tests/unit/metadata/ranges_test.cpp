#include "plugins/metadata/ranges.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nett::metadata {
namespace {

using Kind = RangeRequest::Kind;
using Ranges = std::vector<ByteRange>;

const std::string kDigest(64, 'a');

Ranges parts(std::string_view field, std::uint64_t size) {
    const auto request = parse_ranges(field, size);
    EXPECT_EQ(request.kind, Kind::kParts) << field;
    return request.ranges;
}

TEST(Ranges, TakesTheThreeForms) {
    EXPECT_EQ(parts("bytes=0-0", 10), (Ranges{{0, 1}}));
    EXPECT_EQ(parts("bytes=2-5", 10), (Ranges{{2, 4}}));
    EXPECT_EQ(parts("bytes=2-", 10), (Ranges{{2, 8}}));
    EXPECT_EQ(parts("bytes=2-99", 10), (Ranges{{2, 8}}));
    EXPECT_EQ(parts("bytes=-3", 10), (Ranges{{7, 3}}));
    EXPECT_EQ(parts("bytes=-99", 10), (Ranges{{0, 10}}));
    EXPECT_EQ(parts("bytes=9-9223372036854775807", 10), (Ranges{{9, 1}}));
    EXPECT_EQ(parts("Bytes=0-1", 10), (Ranges{{0, 2}}));  // RFC 9110 section 14.1: units are case-insensitive
}

TEST(Ranges, KeepsTheOrderOfSeveral) {
    EXPECT_EQ(parts("bytes=0-1,3-4", 10), (Ranges{{0, 2}, {3, 2}}));
    EXPECT_EQ(parts("bytes= 8-8 , ,0-1, -1", 12), (Ranges{{8, 1}, {0, 2}, {11, 1}}));
    EXPECT_EQ(parts("bytes=0-1,20-30", 10), (Ranges{{0, 2}}));  // what does not exist is left out
}

TEST(Ranges, JoinsWhatOverlapsOrTouches) {
    EXPECT_EQ(parts("bytes=0-1,2-4", 10), (Ranges{{0, 5}}));
    EXPECT_EQ(parts("bytes=0-,0-,0-,0-,0-", 10), (Ranges{{0, 10}}));
    EXPECT_EQ(parts("bytes=6-7,0-1,2-5", 10), (Ranges{{0, 8}}));
    EXPECT_EQ(parts("bytes=0-0,9-9,1-8", 10), (Ranges{{0, 10}}));
}

TEST(Ranges, IgnoresWhatItNeedNotUnderstand) {
    for (const auto* field :
         {"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,x", "items=0-1",
          "bytes=+1-2", "bytes=1-99999999999999999999", "bytes=-1-2", "bytes=0x1-2", "bytes=0 -1"}) {
        EXPECT_EQ(parse_ranges(field, 10).kind, Kind::kWhole) << field;
    }
}

TEST(Ranges, AnswersTooManyAsIfThereWereNone) {
    std::string field = "bytes=0-0";
    for (std::size_t i = 1; i < kMaxRanges; ++i) field += fmt::format(",{}-{}", 2 * i, 2 * i);
    EXPECT_EQ(parts(field, 100).size(), kMaxRanges);
    EXPECT_EQ(parse_ranges(field + ",90-90", 100).kind, Kind::kWhole);
}

TEST(Ranges, SaysWhenNothingOfItExists) {
    EXPECT_EQ(parse_ranges("bytes=10-", 10).kind, Kind::kUnsatisfiable);
    EXPECT_EQ(parse_ranges("bytes=-0", 10).kind, Kind::kUnsatisfiable);
    EXPECT_EQ(parse_ranges("bytes=0-", 0).kind, Kind::kUnsatisfiable);
    EXPECT_EQ(parse_ranges("bytes=-1", 0).kind, Kind::kUnsatisfiable);
    EXPECT_EQ(parse_ranges("bytes=10-,11-12", 10).kind, Kind::kUnsatisfiable);
}

TEST(Etag, MatchesListsStarsAndWeakTags) {
    EXPECT_TRUE(matches_etag("*", kDigest));
    EXPECT_TRUE(matches_etag("\"" + kDigest + "\"", kDigest));
    EXPECT_TRUE(matches_etag("\"x\", W/\"" + kDigest + "\"", kDigest));
    EXPECT_FALSE(matches_etag("", kDigest));
    EXPECT_FALSE(matches_etag(kDigest, kDigest));
    EXPECT_FALSE(matches_etag("\"x\",\"y\"", kDigest));
}

TEST(Etag, AWeakTagIsNoStrongMatch) {
    EXPECT_TRUE(matches_etag_strongly("\"x\", \"" + kDigest + "\"", kDigest));
    EXPECT_TRUE(matches_etag_strongly("*", kDigest));
    EXPECT_FALSE(matches_etag_strongly("W/\"" + kDigest + "\"", kDigest));
}

class Conditional : public testing::Test {
protected:
    Response ask(Request request) const {
        Response response;
        response.etag = kDigest;
        response.body = "text";
        response.content_type = "text/plain";
        return conditional(std::move(response), request);
    }
    const std::string tag_ = "\"" + kDigest + "\"";
};

TEST_F(Conditional, EvaluatesInTheOrderOfTheStandard) {
    Request request;
    EXPECT_EQ(ask(request).status, 200U);
    request.if_none_match = tag_;
    EXPECT_EQ(ask(request).status, 304U);
    EXPECT_EQ(ask(request).content_length(), 0U);
    request.if_match = "\"other\"";
    EXPECT_EQ(ask(request).status, 412U);
    request.if_match = tag_;
    EXPECT_EQ(ask(request).status, 304U);
    request.if_none_match = "\"other\"";
    EXPECT_EQ(ask(request).status, 200U);
}

TEST_F(Conditional, LeavesErrorsAlone) {
    Request request;
    request.if_match = "\"other\"";
    EXPECT_EQ(conditional(plain(404, Outcome::kNotFound, "not found"), request).status, 404U);
}

}  // namespace
}  // namespace nett::metadata
