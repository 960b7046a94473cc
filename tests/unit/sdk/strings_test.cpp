#include "agent/sdk/strings.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

TEST(Strings, IntegersAreDigitsWithinTheRange) {
    EXPECT_EQ(parse_integer("30", 1, 60).value(), 30);
    for (const auto* text : {"", " 1", "1 ", "+1", "-1", "0x1", "61", "0", "99999999999999999999"}) {
        EXPECT_FALSE(parse_integer(text, 1, 60)) << text;
    }
}

TEST(Strings, SplitKeepsEmptyParts) {
    EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
    EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
}

TEST(Strings, Sha256OfTheEmptyString) {
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Strings, ReadFileSaysWhy) {
    EXPECT_EQ(read_file("/nonexistent/x", 10).error().code, Code::kNotFound);
    EXPECT_EQ(read_file("/", 10).error().code, Code::kInvalidArgument);
    EXPECT_EQ(read_file("/proc/self/status", 10).error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace nett
