#include "agent/core/host/root_commands.hpp"

#include <gtest/gtest.h>

#include "agent/core/config/parser.hpp"

namespace nett {
namespace {

ConfigNode parse(std::string_view text) {
    static const auto grammar = Grammar::build(root_commands()).value();
    auto parsed = parse_config(grammar, text, "nett.conf");
    for (const auto& finding : parsed.diagnostics) ADD_FAILURE() << finding.to_string();
    return std::move(parsed.root);
}

TEST(RootCommands, AnEmptyConfigurationHasDefaults) {
    const auto settings = read_settings(parse(""));
    EXPECT_FALSE(settings.hostname.empty());
    EXPECT_EQ(settings.api_socket, "/run/nett/nettd.sock");
    EXPECT_EQ(settings.frr.zebra, "unix:/run/frr/zebra-grpc.sock");
}

TEST(RootCommands, EachCommandReachesItsSetting) {
    const auto settings =
        read_settings(parse("hostname tor-a\nlog level debug\nlog format json\nstate file /a\nsecret-key file /b\n"
                            "artifacts directory /c\napi socket /d\nfrr backend vtysh\nfrr zebra target [::1]:1\n"
                            "frr bgpd target unix:/e\nfrr vtysh path /f\nfrr vtysh socket-directory /g\n"));
    EXPECT_EQ(settings.hostname, "tor-a");
    EXPECT_EQ(settings.log_level, LogLevel::kDebug);
    EXPECT_EQ(settings.log_format, LogFormat::kJson);
    EXPECT_EQ(settings.state_file, "/a");
    EXPECT_EQ(settings.secret_key_file, "/b");
    EXPECT_EQ(settings.artifact_directory, "/c");
    EXPECT_EQ(settings.api_socket, "/d");
    EXPECT_EQ(settings.frr, (FrrTargets{true, "[::1]:1", "unix:/e", "/f", "/g"}));
}

TEST(RootCommands, WhatNeedsARestartIsSaid) {
    const auto in_force = read_settings(parse("hostname a\nstate file /a\n"));
    const auto warnings = restart_warnings(in_force, parse("hostname a\nlog level debug\nstate file /b\n"));
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings[0].to_string(), "nett.conf:3: warning: \"state file\" takes effect at the next start of nettd");
}

}  // namespace
}  // namespace nett
