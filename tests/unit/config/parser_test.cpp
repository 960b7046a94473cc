#include "tests/unit/config/fixture.hpp"

namespace nett::test {
namespace {

using ::testing::PrintToString;

class Parser : public ::testing::Test {
protected:
    std::vector<std::string> errors(std::string_view text) {
        return findings(parse_config(grammar_, text, "nett.conf"));
    }
    std::string printed(std::string_view text) { return print_config(tree(grammar_, text)); }
    // Types lines at the top; the error of the last one, else where that leaves the cursor.
    std::string type(std::initializer_list<std::string_view> lines) {
        std::string outcome;
        for (const auto line : lines) {
            const auto applied = apply_line(grammar_, typed_, path_, line);
            outcome = applied ? (path_.empty() ? "" : path_.back().node) : "error: " + applied.error().to_string();
        }
        return outcome;
    }

    Grammar grammar_ = example_grammar();
    ConfigNode typed_;
    NodePath path_;
};

using Lines = std::vector<std::string>;

TEST_F(Parser, ReadsNodesAndCanonicalValues) {
    const auto root = tree(grammar_, "hostname tor-a\nplugin ra\n aggregate 2001:DB8:b000::/56\n interval 030\n");
    EXPECT_EQ(root.text("hostname", "name", ""), "tor-a");
    const auto& ra = root.find("plugin ra")->children();
    EXPECT_EQ(ra.integer("interval", "seconds", 0), 30);
    EXPECT_EQ(ra.find("aggregate")->prefix("prefix").to_string(), "2001:db8:b000::/56");
    EXPECT_EQ(ra.find("interval")->where().to_string(), "t.conf:4");
}

TEST_F(Parser, PrintsInCanonicalOrder) {
    EXPECT_EQ(printed("plugin metadata\nexit\nplugin ra\nports swp10\nports swp2\ninterval 5\n!\nhostname a\n"),
              "hostname a\nplugin ra\n interval 5\n ports swp2\n ports swp10\nexit\n!\nplugin metadata\nexit\n!\n");
}

TEST_F(Parser, CommandOfAnOuterNodeEndsTheInnerOne) {
    const auto root = tree(grammar_, "plugin ra\n interface swp1\n  prefix 2001:db8::/64\n interval 9\nhostname a\n");
    EXPECT_EQ(root.find("plugin ra")->children().integer("interval", "seconds", 0), 9);
    EXPECT_TRUE(root.has("hostname"));
}

TEST_F(Parser, ExitLeavesOneNodeAndBangLeavesAll) {
    EXPECT_EQ(printed("plugin ra\n interface swp1\n exit\n interval 9\nexit\n"),
              "plugin ra\n interval 9\n interface swp1\n exit\nexit\n!\n");
    EXPECT_EQ(errors("plugin ra\n interface swp1\n!\ninterval 9\n"),
              Lines{"nett.conf:4: error: \"interval 9\" does not belong here; it is valid in \"plugin ra\""});
}

TEST_F(Parser, SkipsCommentsBlankLinesAndCarriageReturns) {
    EXPECT_EQ(printed("# a\r\n! b\r\n\r\n  ! c\r\nhostname a\r\n"), "hostname a\n");
    EXPECT_EQ(printed("plugin ra\n ! inside\n interval 5"), "plugin ra\n interval 5\nexit\n!\n");
    EXPECT_EQ(printed(""), "");
}

TEST_F(Parser, ReportsAllErrorsWithFileAndLine) {
    EXPECT_EQ(errors("hostnam a\nplugin ra\n intervall 5\n interval 4000\n aggregate 10.0.0.0/8\n!\nlog level loud\n"),
              (Lines{"nett.conf:1: error: unknown command \"hostnam a\"; did you mean \"hostname\"?",
                     "nett.conf:3: error: unknown command \"intervall 5\"; did you mean \"interval\"?",
                     "nett.conf:4: error: interval <1-1800>: \"4000\" is not a whole number from 1 to 1800",
                     "nett.conf:5: error: aggregate X:X::X:X/M: prefix \"10.0.0.0\" is not an IPv6 address; write e.g. "
                     "2001:db8::1",
                     "nett.conf:7: error: log level (debug|info|warning|error): \"loud\" is not one of debug, info, "
                     "warning, error"}));
}

TEST_F(Parser, SaysWhatIsMissingOrTooMuch) {
    EXPECT_EQ(errors("hostname\nlog\nhostname a b\n"),
              (Lines{"nett.conf:1: error: \"hostname\" is not complete; expected NAME",
                     "nett.conf:2: error: \"log\" is not complete; expected format, level",
                     "nett.conf:3: error: unexpected \"b\" after \"hostname a\""}));
}

TEST_F(Parser, UnknownNodeIsOneErrorNotOneForEachOfItsLines) {
    EXPECT_EQ(errors("plugin rb\n interval 5\n nonsense\nexit\n!\nhostname a\n"),
              Lines{"nett.conf:1: error: unknown word \"rb\" after \"plugin\"; did you mean \"ra\"?"});
}

TEST_F(Parser, ChecksTheLinesOfANodeWhoseOwnLineIsWrong) {
    EXPECT_EQ(errors("plugin ra extra\n interval 4000\n"),
              (Lines{"nett.conf:1: error: unexpected \"extra\" after \"plugin ra\"",
                     "nett.conf:2: error: interval <1-1800>: \"4000\" is not a whole number from 1 to 1800"}));
}

TEST_F(Parser, DuplicatesAreErrorsWhenTheyDiffer) {
    EXPECT_EQ(errors("hostname a\nhostname b\n"),
              Lines{"nett.conf:2: error: \"hostname b\" is set as \"hostname a\" in line 1 already; keep one of them"});
    EXPECT_EQ(errors("hostname a\nhostname a\n"),
              Lines{"nett.conf:2: warning: \"hostname a\" stands in line 1 already"});
    EXPECT_EQ(errors("plugin ra\n ports swp1\n ports swp2\nexit\nplugin ra\n interval 5\n"), Lines{});
}

TEST_F(Parser, FilesNeedFullWords) {
    EXPECT_EQ(errors("host a\n"), Lines{"nett.conf:1: error: unknown command \"host a\"; did you mean \"hostname\"?"});
}

TEST_F(Parser, NoRemovesWhatStoodAbove) {
    EXPECT_EQ(printed("hostname a\nbanner hi\nno hostname\n"), "banner hi\n");
    EXPECT_EQ(errors("no hostname\n"), Lines{"nett.conf:1: warning: \"hostname\" is not configured"});
}

TEST_F(Parser, RefusesLinesThatNobodyCanMean) {
    EXPECT_EQ(errors("banner \x1b[2J\n"), Lines{"nett.conf:1: error: the line has a control character (0x1b)"});
    EXPECT_EQ(errors("banner " + std::string(5000, 'x')),
              Lines{"nett.conf:1: error: the line is longer than 4096 bytes"});
    EXPECT_EQ(errors("exit\n"), Lines{"nett.conf:1: error: \"exit\" without an open node"});
    EXPECT_EQ(errors("banner \"open\nhostname a"), Lines{"nett.conf:1: error: the quote before open is not closed"});
}

TEST_F(Parser, TextTakesTheRestOfTheLineAndQuotesWhenNeeded) {
    EXPECT_EQ(tree(grammar_, "banner it is  5\" tall").text("banner", "words", ""), "it is  5\" tall");
    EXPECT_EQ(tree(grammar_, "banner \" a \\\"b\\\" | c\"").text("banner", "words", ""), " a \"b\" | c");
    EXPECT_EQ(printed("banner \" padded \""), "banner \" padded \"\n");
    EXPECT_EQ(printed("banner \"plain\""), "banner plain\n");
}

TEST_F(Parser, InterfaceListsMayHaveBlanks) {
    EXPECT_EQ(printed("plugin ra\n ports Ethernet0-188 step 4, swp7\n"),
              "plugin ra\n ports Ethernet0-188 step 4,swp7\nexit\n!\n");
}

TEST_F(Parser, TypedLinesMayBeAbbreviated) {
    EXPECT_EQ(type({"host tor-a", "pl ra", "int 5"}),
              "error: \"int 5\" is ambiguous: \"interface NAME\", \"interval <1-1800>\"");
    EXPECT_EQ(type({"interv 5"}), "ra");
    EXPECT_EQ(type({"log l debug"}), "");
    EXPECT_EQ(print_config(typed_), "hostname tor-a\nlog level debug\nplugin ra\n interval 5\nexit\n!\n");
}

TEST_F(Parser, TypedNoRemovesByKeyAndRefusesAnotherValue) {
    type({"plugin ra", "interval 5", "ports swp1", "ports swp2", "interface swp9", "prefix 2001:db8::/64"});
    EXPECT_EQ(type({"no interval 6"}), "error: the configuration has \"interval 5\"; leave the value out to remove it");
    EXPECT_EQ(type({"no ports"}), "error: \"ports\" is not complete; expected RANGE");
    EXPECT_EQ(type({"no ports swp1"}), "ra");
    EXPECT_EQ(type({"no interval"}), "ra");
    EXPECT_EQ(type({"no interval"}), "error: \"interval\" is not configured");
    EXPECT_EQ(type({"no int"}), "error: \"no int\" is ambiguous: interface, interval");
    EXPECT_EQ(type({"no plugin ra"}), "");
    EXPECT_EQ(print_config(typed_), "");
}

TEST_F(Parser, TypingIntoANodeThatIsGoneIsRefused) {
    type({"plugin ra"});
    typed_ = ConfigNode();
    EXPECT_EQ(type({"interval 5"}), "error: \"plugin ra\" is not configured any more; \"exit\" leaves it");
}

TEST_F(Parser, OpeningANodeAgainKeepsWhatItHolds) {
    type({"plugin ra", "interval 5", "hostname a", "plugin ra", "ports swp1"});
    EXPECT_EQ(print_config(typed_), "hostname a\nplugin ra\n interval 5\n ports swp1\nexit\n!\n");
}

}  // namespace
}  // namespace nett::test
