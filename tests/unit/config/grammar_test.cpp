#include "tests/unit/config/fixture.hpp"

namespace nett::test {
namespace {

std::string compile_error(std::string_view pattern) {
    const auto compiled = Pattern::compile(pattern, {}, "help");
    return compiled ? "compiled" : compiled.error().to_string();
}

std::string build_error(std::vector<ConfigCommand> commands) {
    const auto grammar = Grammar::build(std::move(commands));
    return grammar ? "built" : grammar.error().to_string();
}

Token token_of(std::string_view pattern) {
    return Pattern::compile("x " + std::string(pattern), {}, "").value().tokens().back();
}

std::string canonical(std::string_view pattern, std::string_view text) {
    const auto value = canonical_argument(token_of(pattern), text);
    return value ? *value : "error: " + value.error().to_string();
}

TEST(Pattern, IdIsTheKeywords) {
    const auto pattern = Pattern::compile("port {name:word} prefix {prefix:prefix6}", {}, "").value();
    EXPECT_EQ(pattern.id(), "port prefix");
    EXPECT_EQ(pattern.usage(), "port NAME prefix X:X::X:X/M");
}

TEST(Pattern, TokenHelpFallsBackToTheCommandsHelp) {
    const auto pattern = Pattern::compile("mtu {bytes:int:1280..9216}", {{"bytes", "size"}}, "link MTU").value();
    EXPECT_EQ(pattern.tokens()[0].help, "link MTU");
    EXPECT_EQ(pattern.tokens()[1].help, "size");
}

TEST(Pattern, RefusesBrokenPatternsWithTheReason) {
    EXPECT_EQ(compile_error("a {x:colour}"), "unknown type \"colour\" in \"{x:colour}\"");
    EXPECT_EQ(compile_error("a {x:int:9..1}"), "{x:int:9..1}: the range 9..1 is empty");
    EXPECT_EQ(compile_error("a {x:text} b"), "{x:text} takes the rest of the line and must be the last");
    EXPECT_EQ(compile_error("a {x:word} {x:word}"), "two arguments are named \"x\"");
    EXPECT_EQ(compile_error("{x:word}"), "a command begins with a keyword");
    EXPECT_EQ(compile_error("a  b"), "words are separated by one blank");
    EXPECT_EQ(compile_error("a {x:choice:}"), "{x:choice:}: write the choices as {x:choice:a|b}");
    EXPECT_EQ(compile_error("a {x:int}"), "{x:int}: write the range as {x:int:LOW..HIGH}");
    EXPECT_EQ(compile_error("a {x"), "\"{x\" lacks the closing brace");
}

TEST(Argument, IsBroughtIntoCanonicalForm) {
    EXPECT_EQ(canonical("{x:prefix6}", "2001:DB8:0::/32"), "2001:db8::/32");
    EXPECT_EQ(canonical("{x:address6}", "2001:0db8::0001"), "2001:db8::1");
    EXPECT_EQ(canonical("{x:ifaddress6}", "2001:DB8::1/64"), "2001:db8::1/64");
    EXPECT_EQ(canonical("{x:endpoint6}", "[2001:DB8::1]:0443"), "[2001:db8::1]:443");
    EXPECT_EQ(canonical("{x:int:1..1800}", "0030"), "30");
    EXPECT_EQ(canonical("{x:interfaces}", "swp1-4,  swp7"), "swp1-4,swp7");
}

TEST(Argument, SaysWhatIsPermitted) {
    EXPECT_EQ(canonical("{x:int:1..1800}", "1801"), "error: \"1801\" is not a whole number from 1 to 1800");
    EXPECT_EQ(canonical("{x:choice:high|low}", "mid"), "error: \"mid\" is not one of high, low");
    EXPECT_EQ(canonical("{x:path}", "etc/x"), "error: \"etc/x\" is not an absolute path; it must begin with /");
    EXPECT_EQ(canonical("{x:prefix6}", "2001:db8::1/64"),
              "error: \"2001:db8::1/64\" has bits set behind its length; the prefix is 2001:db8::/64");
    EXPECT_EQ(canonical("{x:word}", "a\x1b[2J"), "error: the line has a control character (0x1b)");
    EXPECT_EQ(canonical("{x:word}", "\xff"), "error: the line has bytes that are not UTF-8");
}

TEST(Grammar, NamesTheBrokenCommandAndItsNode) {
    EXPECT_EQ(build_error({{"", "mtu {x:number}", ""}}),
              "command \"mtu {x:number}\" of node \"\": unknown type \"number\" in \"{x:number}\"");
    EXPECT_EQ(build_error({{"rb", "mtu", ""}}), "command \"mtu\" of node \"rb\": no command opens this node");
    EXPECT_EQ(build_error({{"", "mtu {x:word}", "", {}, {"y"}}}),
              "command \"mtu {x:word}\" of node \"\": key \"y\" is not an argument");
    EXPECT_EQ(build_error({{"", "a {x:word}", ""}, {"", "a {y:path}", ""}}),
              "command \"a {y:path}\" of node \"\": \"a {x:word}\" has the same keywords");
    EXPECT_EQ(build_error({{"", "a", "", {}, {}, "n"}, {"", "b", "", {}, {}, "n"}}),
              "command \"b\" of node \"\": node \"n\" is opened by another command already");
    EXPECT_EQ(build_error({{"", "commit {x:word}", ""}}),
              "command \"commit {x:word}\" of node \"\": \"commit\" is a word of the shell; choose another one");
}

}  // namespace
}  // namespace nett::test
