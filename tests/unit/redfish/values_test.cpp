// Links, URLs, redaction, and answers of any shape.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/redfish/json.hpp"
#include "plugins/redfish/origin.hpp"
#include "plugins/redfish/profile.hpp"
#include "plugins/redfish/redact.hpp"
#include "plugins/redfish/resources.hpp"

namespace nett::redfish {
namespace {

using testing::HasSubstr;
using testing::Not;

Origin bmc() {
    return Origin::parse("https://[2001:db8:bc::1]").value();
}

boost::json::object object(std::string_view text) {
    return parse_object(text).value();
}

TEST(Origin, TakesIpv6LiteralsOnly) {
    EXPECT_EQ(Origin::parse("https://[2001:db8::1]").value().port, 443);
    EXPECT_EQ(Origin::parse("HTTP://[2001:db8::1]/").value().port, 80);
    EXPECT_EQ(Origin::parse("https://[2001:db8::1]:8443").value().host_header(), "[2001:db8::1]:8443");
    for (const char* bad : {"", "[2001:db8::1]", "https://bmc.example", "https://192.0.2.1",
                            "https://[::ffff:192.0.2.1", "https://[2001:db8::1]:0", "https://[2001:db8::1]x",
                            "https://[2001:db8::1]/path", "ftp://[::1]", "https://user@[2001:db8::1]"}) {
        EXPECT_FALSE(Origin::parse(bad)) << bad;
    }
}

TEST(Origin, AllowsConfiguredPrefixesOnly) {
    const std::vector<Prefix6> allowed{Prefix6::parse("2001:db8:bc::/64").value()};
    EXPECT_TRUE(check_allowed(bmc(), allowed));
    EXPECT_EQ(check_allowed(Origin::parse("https://[2001:db8::1]").value(), allowed).error().code,
              Code::kPermissionDenied);
    EXPECT_FALSE(check_allowed(bmc(), {}));
}

TEST(Links, StayOnTheirOrigin) {
    EXPECT_EQ(resolve_link(bmc(), "/redfish/v1/Systems/1").value(), "/redfish/v1/Systems/1");
    EXPECT_EQ(resolve_link(bmc(), "https://[2001:db8:bc:0:0:0:0:1]:443/x").value(), "/x");
    for (const char* other :
         {"https://[2001:db8:bc::2]/x", "http://[2001:db8:bc::1]/x", "//[2001:db8:bc::1]/x",
          "https://[2001:db8:bc::1]:444/x", "https://[2001:db8:bc::1]@[2001:db8::66]/x", "https://bmc/x"}) {
        EXPECT_EQ(resolve_link(bmc(), other).error().code, Code::kPermissionDenied) << other;
    }
    for (const char* odd : {"", "x", "/a b", "/a\r\nX: y", "/a\\b", "/a#b", "https://[2001:db8:bc::1]", "/\xc3\xa4"}) {
        EXPECT_FALSE(resolve_link(bmc(), odd)) << odd;
    }
    EXPECT_FALSE(resolve_link(bmc(), "/" + std::string(kMaxLinkBytes, 'a')));
}

TEST(ImageUrl, IsWhatBmcsTake) {
    EXPECT_TRUE(check_image_url("http://[2001:db8::1]:8080/t0ken/nett.ISO"));
    for (const char* bad :
         {"http://[2001:db8::1]/nett.img", "http://[2001:db8::1]/a.iso?x=1", "http://boot.example/a.iso",
          "nfs://[2001:db8::1]/a.iso", "http://[2001:db8::1]/a b.iso", "http://[2001:db8::1]"}) {
        EXPECT_FALSE(check_image_url(bad)) << bad;
    }
    EXPECT_TRUE(same_image("http://[2001:db8::1]/a.iso", "HTTP://[2001:DB8:0::1]:80/a.iso"));
    EXPECT_FALSE(same_image("http://[2001:db8::1]/a.iso", "http://[2001:db8::1]/b.iso"));
    EXPECT_FALSE(same_image("http://[2001:db8::1]/a.iso", ""));
}

TEST(Redaction, HidesSecrets) {
    EXPECT_EQ(redact_url("https://[2001:db8::1]/media/s3cret/nett.iso"), "https://[2001:db8::1]/…/nett.iso");
    EXPECT_EQ(redact_url("https://user:s3cret@[2001:db8::1]/nett.iso?t=s3cret"), "https://[2001:db8::1]/nett.iso?…");
    EXPECT_EQ(redact_text("cannot read http://[2001:db8::1]/s3cret/nett.iso, sorry\n"),
              "cannot read http://[2001:db8::1]/…/nett.iso, sorry ");
    const std::string shown = redact_json(
        R"({"UserName":"u","Password":"s3cret","X-Auth-Token":"s3cret","Image":"http://[2001:db8::1]/s3cret/nett.iso",
            "Payload":{"HttpHeaders":["Authorization: Basic s3cret"],"JsonBody":"{\"Password\":\"s3cret\"}"},
            "Headers":["X-Auth-Token: s3cret"],"a":[{"AccessToken":"s3cret"}],"OemSecrets":["s3cret"]})");
    EXPECT_THAT(shown, Not(HasSubstr("s3cret")));
    EXPECT_THAT(shown, HasSubstr("\"UserName\":\"u\""));
    EXPECT_EQ(redact_json("<html>s3cret"), "(12 bytes, not JSON)");
}

TEST(Redaction, CutsBetweenCharacters) {
    std::string text;
    while (text.size() < 1000) text += "ä";
    const std::string shown = redact_text(text);
    EXPECT_LT(shown.size(), 310U);
    EXPECT_TRUE(shown.ends_with("ä…"));
}

TEST(Json, IsCapped) {
    EXPECT_TRUE(parse_object(std::string(R"({"a":)") + std::string(20, '[') + std::string(20, ']') + "}"));
    EXPECT_EQ(parse_object(std::string(R"({"a":)") + std::string(64, '[') + std::string(64, ']') + "}").error().code,
              Code::kDataLoss);
    EXPECT_FALSE(parse_object("[]"));
    EXPECT_FALSE(parse_object("{\"a\":\"\xff\"}"));
    std::string many = R"({"Members":[)";
    for (int i = 0; i < 5000; ++i) many += R"({"@odata.id":"/x"},)";
    EXPECT_EQ(links_at(object(many + "{}]}"), {"Members"}).size(), kMaxArrayElements);
}

TEST(Media, EmptyInEveryDialect) {
    const auto empty = [](std::string_view body) { return parse_media(bmc(), object(body)).value().empty(); };
    EXPECT_TRUE(empty(R"({"Inserted":false,"Image":null})"));
    EXPECT_TRUE(empty(R"({"Image":""})"));
    EXPECT_TRUE(empty(R"({"Image":"None"})"));
    EXPECT_TRUE(empty(R"({"Inserted":true,"Image":"http://[::1]/a.iso","ConnectedVia":"NotConnected"})"));
    EXPECT_FALSE(empty(R"({"Inserted":true,"Image":null})"));
    EXPECT_FALSE(empty(R"({"Image":"http://[::1]/a.iso"})"));
}

TEST(Refusals, InEveryDialect) {
    Response answer;
    answer.status = 400;
    // A list by the standard, one object with iDRAC, without `code` with DGX.
    answer.body = R"({"error":{"@Message.ExtendedInfo":{"MessageId":"IDRAC.2.8.SYS518","Message":"busy"}}})";
    EXPECT_TRUE(parse_refusal(answer).has("SYS518"));
    answer.body =
        R"({"error":{"message":"general","@Message.ExtendedInfo":[{"MessageId":"PropertyNotWritable","Message":"no"},3]}})";
    EXPECT_TRUE(parse_refusal(answer).has("PropertyNotWritable"));
    EXPECT_EQ(parse_refusal(answer).text, "general; no");
    answer.body = "nonsense";
    EXPECT_TRUE(parse_refusal(answer).text.empty());
}

TEST(Tasks, EndWhenTheirMonitorIsGone) {
    const auto phase = [](unsigned status, std::string body) {
        Response answer;
        answer.status = status;
        answer.body = std::move(body);
        return parse_task(answer).phase;
    };
    EXPECT_EQ(phase(404, ""), TaskPhase::kDone);
    EXPECT_EQ(phase(204, ""), TaskPhase::kDone);
    EXPECT_EQ(phase(202, ""), TaskPhase::kActive);
    EXPECT_EQ(phase(200, R"({"TaskState":"Running"})"), TaskPhase::kActive);
    EXPECT_EQ(phase(200, R"({"TaskState":"Completed"})"), TaskPhase::kDone);
    EXPECT_EQ(phase(200, R"({"TaskState":"Exception"})"), TaskPhase::kFailed);
}

TEST(Profiles, FallBackToTheGenericRow) {
    EXPECT_EQ(detect_profile("Acme Inc").name, "generic");
    EXPECT_EQ(profile_named("unheard of").name, "generic");
    EXPECT_EQ(profiles().back().name, "generic");
    EXPECT_EQ(insert_body({}, "http://[::1]/a.iso"), R"({"Image":"http://[::1]/a.iso"})");
}

}  // namespace
}  // namespace nett::redfish
