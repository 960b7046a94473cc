#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "agent/core/shell/pipe.hpp"
#include "agent/core/shell/render.hpp"

namespace nett::test {
namespace {

std::string text_of(std::string_view data, std::vector<Column> columns = {}) {
    Output output;
    output.data = boost::json::parse(data);
    output.columns = std::move(columns);
    return render_text(output);
}

// What comes out of `text` behind the stages, or the error.
std::string piped(const std::vector<std::string>& stages, std::initializer_list<std::string_view> parts) {
    auto pipe = Pipe::make(stages);
    if (!pipe) return "error: " + pipe.error().to_string();
    std::string out;
    for (const auto part : parts) out += pipe->feed(part);
    return out + pipe->finish();
}

TEST(RenderText, AlignsTheColumnsOfATable) {
    EXPECT_EQ(text_of(R"([{"name":"node-1","up":true,"boots":12},{"name":"n","up":false}])",
                      {{"name", "Machine"}, {"boots", "Boots"}, {"up", "Up"}}),
              "Machine  Boots  Up\n"
              "node-1   12     yes\n"
              "n        -      no\n");
}

TEST(RenderText, EmptyTableHasItsHeadings) {
    EXPECT_EQ(text_of("[]", {{"name", "Machine"}}), "Machine\n");
}

TEST(RenderText, CountsCharactersNotBytes) {
    EXPECT_EQ(text_of(R"([{"a":"ää","b":1},{"a":"xyz","b":2}])"), "a    b\nää   1\nxyz  2\n");
}

TEST(RenderText, ShowsObjectsAsKeyAndValue) {
    EXPECT_EQ(
        text_of(
            R"({"name":"node-1","macs":["02:00::1","x"],"since":null,"bmc":{"power":"on"},"ports":[{"p":"swp1"}]})"),
        "name:  node-1\n"
        "macs:  02:00::1, x\n"
        "since: -\n"
        "bmc:\n"
        "  power: on\n"
        "ports:\n"
        "  p\n"
        "  swp1\n");
}

TEST(RenderText, ShowsStringsAndListsAsTheyAre) {
    EXPECT_EQ(text_of(R"("hello")"), "hello\n");
    EXPECT_EQ(text_of(R"(["a","b"])"), "a\nb\n");
    EXPECT_EQ(text_of("null"), "");
}

TEST(RenderText, NeverPassesControlCharactersOn) {
    EXPECT_EQ(text_of("[{\"name\":\"a\\u001b[2Jb\"}]"), "name\na\\x1b[2Jb\n");
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m\x7f\r"),
              "\\x9b31m\\x7f\\x0d");
    EXPECT_EQ(printable("ä\n\t"), "ä\n\t");
}

TEST(RenderJson, IsIndentedAndKeepsTheOrder) {
    EXPECT_EQ(render_json(boost::json::parse(R"({"z":1,"a":[1,{"b":[]}],"t":"x\"\u001b"})")),
              "{\n"
              "  \"z\": 1,\n"
              "  \"a\": [\n"
              "    1,\n"
              "    {\n"
              "      \"b\": []\n"
              "    }\n"
              "  ],\n"
              "  \"t\": \"x\\\"\\u001b\"\n"
              "}\n");
}

TEST(Pipe, SplitsAtBarsThatStandAlone) {
    const auto line = split_pipes("show x \"a | b\" c|d | include x | count").value();
    EXPECT_EQ(line.command, "show x \"a | b\" c|d");
    EXPECT_EQ(line.stages, (std::vector<std::string>{"include x", "count"}));
    EXPECT_FALSE(split_pipes("show x")->piped);
}

TEST(Pipe, IncludesExcludesAndCountsAcrossParts) {
    EXPECT_EQ(piped({"include a"}, {"a1\nb1\n", "a2\n"}), "a1\na2\n");
    EXPECT_EQ(piped({"exclude a", "exclude c"}, {"a1\nb1\nc\n"}), "b1\n");
    EXPECT_EQ(piped({"inc b", "count"}, {"a1\nb1\n", "b2\n"}), "2\n");
    EXPECT_EQ(piped({"count"}, {}), "0\n");
    EXPECT_EQ(piped({"include \"a b\""}, {"a b\nab\n"}), "a b\n");
}

TEST(Pipe, SaysWhatMayStandBehindABar) {
    EXPECT_EQ(piped({"grep x"}, {}),
              "error: behind \"|\": unknown command \"grep x\"; it is include, exclude, begin, section, count or json");
    EXPECT_EQ(piped({""}, {}), "error: behind \"|\" stands include, exclude, begin, section, count or json");
    EXPECT_EQ(piped({"count", "include x"}, {}), "error: \"count\" is the last behind \"|\"");
}

}  // namespace
}  // namespace nett::test
