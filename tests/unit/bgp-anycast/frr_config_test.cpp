#include "plugins/bgp-anycast/frr_config.hpp"

#include <gtest/gtest.h>

#include "agent/sdk/strings.hpp"
#include "tests/unit/bgp-anycast/fixture.hpp"

namespace nett::anycast {
namespace {

const std::string kFull =
    " address 2001:db8:ffff::1/128\n gate prefix-list GATE sequence 5\n drain prefix-list DRAIN sequence 5\n";

std::vector<std::string> missing(const std::string& running, const std::string& lines = kFull) {
    std::vector<std::string> texts;
    for (const FrrFinding& finding : missing_in(running, settings(lines)))
        texts.push_back((finding.essential ? "! " : "") + finding.missing);
    return texts;
}

// The snippet without the lines that contain `text`, and what they open.
std::string without(const std::string& text) {
    const std::string whole = snippet(settings(kFull), {"4200000003", {"FABRIC"}});
    std::string result;
    for (std::string_view line : split(whole, '\n')) {
        if (line.find(text) == std::string_view::npos) result += std::string(line) + "\n";
    }
    return result;
}

std::string with(const std::string& from, const std::string& to) {
    std::string text = without("no such line");
    text.replace(text.find(from), from.size(), to);
    return text;
}

using Texts = std::vector<std::string>;

TEST(AnycastFrrConfig, TheSnippetHasEverything) {
    EXPECT_EQ(Texts{}, missing(without("no such line")));
    EXPECT_EQ(Texts{}, missing(snippet(settings(kFull), {})));
    EXPECT_EQ(Texts{}, missing(snippet(settings(" address 2001:db8:ffff::1/128\n gate off\n drain off\n"), {}),
                               " address 2001:db8:ffff::1/128\n gate off\n drain off\n"));
}

TEST(AnycastFrrConfig, NamesEachThingThatIsMissing) {
    const std::string route_map =
        "! route-map NETT-META permit 10: match ipv6 address prefix-list NETT-META (permit 2001:db8:ffff::1/128)";
    const std::string drain =
        "neighbor FABRIC route-map NETT-FABRIC-OUT out, with: match ipv6 address prefix-list DRAIN, set community "
        "graceful-shutdown additive";
    const std::vector<std::pair<std::string, Texts>> rows{
        {"GATE seq 1000", {"! ipv6 prefix-list GATE seq 1000 deny any"}},
        {"DRAIN seq 1000", {"! ipv6 prefix-list DRAIN seq 1000 deny any"}},
        {"NETT-META seq 5", {route_map}},
        {"match ipv6 address prefix-list NETT-META", {route_map}},
        {"redistribute", {"! redistribute connected route-map NETT-META"}},
        {"prefix-list GATE out", {"! neighbor FABRIC prefix-list GATE out"}},
        {"route-map NETT-FABRIC-OUT out", {drain}},
        {"set community", {drain}},
        {"delay-timer 1", {"bgp route-map delay-timer 1"}},
        {"graceful-restart-disable", {"bgp graceful-restart-disable"}},
        {"FABRIC bfd", {"neighbor FABRIC bfd profile nett"}},
        {"router bgp", {"! router bgp"}},
    };
    for (const auto& [line, expected] : rows) EXPECT_EQ(expected, missing(without(line))) << line;
}

TEST(AnycastFrrConfig, RefusesWhatLetsMoreOut) {
    EXPECT_EQ(1u, missing(with("seq 5 permit 2001:db8:ffff::1/128", "seq 5 permit 2001:db8:ffff::/48 le 128")).size());
    EXPECT_EQ(1u, missing(with("redistribute connected route-map NETT-META", "redistribute connected")).size());
    EXPECT_EQ(1u, missing(with("ipv6 prefix-list NETT-META seq 5 permit 2001:db8:ffff::1/128",
                               "ipv6 prefix-list NETT-META seq 5 permit 2001:db8:ffff::1/128\n"
                               "ipv6 prefix-list NETT-META seq 10 permit 2001:db8:1::/64"))
                      .size());
}

TEST(AnycastFrrConfig, SaysWhyADelayTimerIsWrong) {
    auto findings = missing_in(with("delay-timer 1", "delay-timer 0"), settings(kFull));
    ASSERT_EQ(1u, findings.size());
    EXPECT_EQ("with 0 a drain never takes effect", findings[0].why);
}

TEST(AnycastFrrConfig, LooksAtEveryNeighborThatTakesRoutes) {
    const std::string more = with(" exit-address-family", "  neighbor 2001:db8::9 activate\n exit-address-family");
    EXPECT_EQ(3u, missing(more).size());
    EXPECT_EQ((Texts{"2001:db8::9", "FABRIC"}), facts_of(more).neighbors);
}

TEST(AnycastFrrConfig, DoesNotTakeAnotherVrfOrFamilyForTheFabrics) {
    EXPECT_EQ(Texts{"! router bgp"}, missing(with("router bgp 4200000003", "router bgp 4200000003 vrf blue")));
    EXPECT_EQ(
        (Texts{"! redistribute connected route-map NETT-META", "! address-family ipv6 unicast: neighbor … activate"}),
        missing(with("address-family ipv6 unicast", "address-family ipv4 unicast")));
}

TEST(AnycastFrrConfig, SurvivesAnyText) {
    for (const char* text :
         {"", "\n\n", " ", "router bgp", "route-map", "route-map X permit", " match", "neighbor", "ipv6 prefix-list X",
          "router bgp 1\n neighbor\n neighbor X\n address-family\n  redistribute\n redistribute connected route-map",
          "route-map X permit 10\n set\n set community\n match ipv6 address prefix-list"}) {
        missing_in(text, settings(kFull));
        facts_of(text);
    }
}

}  // namespace
}  // namespace nett::anycast
