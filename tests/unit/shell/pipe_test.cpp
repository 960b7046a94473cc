#include <gtest/gtest.h>

#include "agent/core/shell/pipe.hpp"

namespace nett::test {
namespace {

const std::string kText =
    "hostname a\nplugin ra\n interval 5\n interface swp1\n  prefix x\n exit\nexit\nlog level info\n";

std::string through(std::vector<std::string> stages, std::string_view text = kText) {
    auto pipe = Pipe::make(stages);
    if (!pipe) return pipe.error().message;
    auto out = pipe->feed(text);
    return out + pipe->finish();
}

TEST(Pipe, IncludesAndExcludesByRegularExpression) {
    EXPECT_EQ(through({"include host|level"}), "hostname a\nlog level info\n");
    EXPECT_EQ(through({"include ^ inter", "exclude swp[0-9]"}), " interval 5\n");
    EXPECT_EQ(through({"include nothing"}), "");
}

TEST(Pipe, WhatIsNoRegularExpressionIsLookedForAsItStands) {
    EXPECT_EQ(through({"include [::1"}, "a [::1]:443\nb\n"), "a [::1]:443\n");
    EXPECT_EQ(through({"include *"}, "a*\nb\n"), "a*\n");
}

TEST(Pipe, BeginsAtTheFirstMatch) {
    EXPECT_EQ(through({"begin ^exit"}), "exit\nlog level info\n");
    EXPECT_EQ(through({"begin nothing"}), "");
}

TEST(Pipe, SectionIsALineWithWhatIsIndentedBelowIt) {
    EXPECT_EQ(through({"section plugin"}), "plugin ra\n interval 5\n interface swp1\n  prefix x\n exit\n");
    EXPECT_EQ(through({"section interface"}), " interface swp1\n  prefix x\n");
    EXPECT_EQ(through({"section a"}, "a 1\n x\nb\n y\na 2\n z\n"), "a 1\n x\na 2\n z\n");
}

TEST(Pipe, StagesFollowEachOtherAndRememberOverParts) {
    auto pipe = Pipe::make({"begin b", "count"}).value();
    EXPECT_EQ(pipe.feed("a\n"), "");
    EXPECT_EQ(pipe.feed("b\n"), "");
    EXPECT_EQ(pipe.feed("c\n"), "");
    EXPECT_EQ(pipe.finish(), "2\n");
}

TEST(Pipe, HostilePatternsCostNoTime) {
    const std::string line(4000, 'a');
    EXPECT_EQ(through({"include (a*)*b"}, line + "\n"), "");
    EXPECT_EQ(through({"include ((a{100}){100}){100}"}, line + "\n"),
              "");  // too large to compile: looked for as it stands
}

}  // namespace
}  // namespace nett::test
