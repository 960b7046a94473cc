#include "agent/sdk/log.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

TEST(Log, TextQuotesOnlyWhatNeedsIt) {
    EXPECT_EQ(format_log_line(LogFormat::kText, LogLevel::kInfo, "ra", "port added",
                              {{"port", "swp1"}, {"index", 3}, {"why", "link came up"}, {"empty", ""}}),
              "info ra: port added port=swp1 index=3 why=\"link came up\" empty=\"\"");
}

TEST(Log, APeersNewlineCannotForgeALine) {
    EXPECT_EQ(
        format_log_line(LogFormat::kText, LogLevel::kWarning, "metadata", "bad\nerror forged: x", {{"id", "a\nb"}}),
        "warning metadata: bad error forged: x id=\"a\\nb\"");
}

TEST(Log, JsonIsOneObject) {
    EXPECT_EQ(format_log_line(LogFormat::kJson, LogLevel::kError, "agent", "say \"hi\"", {{"n", 1}}),
              R"({"level":"error","component":"agent","message":"say \"hi\"","n":"1"})");
}

TEST(Log, ErrorsCarryTheirContext) {
    const Error error{Code::kNotFound, "no such file", "/etc/nett/tls.pem"};
    EXPECT_EQ(format_log_line(LogFormat::kText, LogLevel::kError, "tls", "refused", {{"error", error}}),
              "error tls: refused error=\"/etc/nett/tls.pem: no such file\"");
}

}  // namespace
}  // namespace nett
