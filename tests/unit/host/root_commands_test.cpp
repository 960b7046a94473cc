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
    EXPECT_EQ(settings.io_threads, 2);
}

TEST(RootCommands, EachCommandReachesItsSetting) {
    const auto settings = read_settings(
        parse("hostname tor-a\nlog level debug\nlog format json\nstate file /a\nsecret-key file /b\n"
              "artifacts directory /c\napi socket /d\nfrr backend vtysh\nfrr zebra target [::1]:1\n"
              "frr bgpd target unix:/e\nfrr vtysh path /f\nfrr vtysh socket-directory /g\nio-threads 7\n"));
    EXPECT_EQ(settings.hostname, "tor-a");
    EXPECT_EQ(settings.log_level, LogLevel::kDebug);
    EXPECT_EQ(settings.log_format, LogFormat::kJson);
    EXPECT_EQ(settings.state_file, "/a");
    EXPECT_EQ(settings.secret_key_file, "/b");
    EXPECT_EQ(settings.artifact_directory, "/c");
    EXPECT_EQ(settings.api_socket, "/d");
    EXPECT_EQ(settings.io_threads, 7);
    EXPECT_EQ(settings.frr, (FrrTargets{true, "[::1]:1", "unix:/e", "/f", "/g"}));
}

constexpr const char* kFiles = "api certificate /c\napi private-key /k\napi client-ca /r\n";

TEST(ApiSettings, EachCommandReachesItsSetting) {
    const auto api = read_settings(parse(std::string(kFiles) +
                                         "api listen [2001:db8::1]:8443\napi listen [::1]:8443\n"
                                         "api role admin common-name root.example\napi role operator common-name ops\n"
                                         "api role viewer common-name eyes\napi role fabric common-name tor-a\n"
                                         "api role tenant tenant-a common-name compute-a\n"
                                         "upstream [2001:db8::2]:8443\nupstream [2001:db8::3]:8443\n"
                                         "upstream [2001:db8::3]:8443 server-name meta.example\n"
                                         "fabric stable-time 7\n"))
                         .api;
    EXPECT_EQ(api.certificate, "/c");
    EXPECT_EQ(api.private_key, "/k");
    EXPECT_EQ(api.client_ca, "/r");
    EXPECT_EQ(api.listen.size(), 2U);
    EXPECT_EQ(api.grants, (Grants{{"root.example", {Role::kAdmin}},
                                  {"ops", {Role::kOperator}},
                                  {"eyes", {Role::kViewer}},
                                  {"tor-a", {Role::kViewer, Scope::kFabric}},
                                  {"compute-a", {Role::kViewer, Scope::kTenant, "tenant-a"}}}));
    EXPECT_EQ(api.upstreams,
              (std::vector<UpstreamSettings>{{"[2001:db8::2]:8443", ""}, {"[2001:db8::3]:8443", "meta.example"}}));
    EXPECT_EQ(api.stable_time, std::chrono::seconds(7));
    EXPECT_TRUE(validate_root(parse(kFiles)).empty());
}

TEST(ApiSettings, WhatCannotWorkIsRefusedWithThePlaceAndTheRemedy) {
    const auto first = [](const std::string& text) {
        const auto findings = validate_root(parse(text));
        return findings.empty() ? "" : findings.front().to_string();
    };
    EXPECT_EQ(first("api listen [::1]:1\n").find("nett.conf:1: error: needs \"api certificate\""), 0U);
    EXPECT_EQ(first("upstream [::1]:1\n").find("nett.conf:1: error: needs \"api certificate\""), 0U);
    EXPECT_EQ(first(std::string(kFiles) + "api listen [::]:1\n").find("nett.conf:4: error: [::] would serve IPv4"), 0U);
    EXPECT_EQ(first(std::string(kFiles) + "api listen [::1]:1\n").find("nett.conf:4: warning: nobody may call"), 0U);
    EXPECT_EQ(first("api role viewer common-name x\napi role tenant t common-name x\n"),
              "nett.conf:2: error: x has the role viewer already; a certificate has one role");
    EXPECT_EQ(first("upstream [::1]:1 server-name x\n"), "nett.conf:1: error: add \"upstream [::1]:1\"");
}

TEST(StateSettings, TellEtcdsMembersAndTheFiles) {
    constexpr const char* kState =
        "state etcd https://[2001:db8::1]:2379 https://[2001:db8::2]:2379/\nstate certificate /c\n"
        "state private-key /k\nstate server-ca /r\nstate prefix /site/a/\nstate max-lag 5\n";
    const auto state = read_settings(parse(kState)).state;
    EXPECT_EQ(state.etcd, (std::vector<std::string>{"[2001:db8::1]:2379", "[2001:db8::2]:2379"}));
    EXPECT_EQ(state.prefix, "/site/a");
    EXPECT_EQ(state.max_lag, std::chrono::seconds(5));
    EXPECT_TRUE(validate_root(parse(kState)).empty());
    EXPECT_TRUE(read_settings(parse("")).state.etcd.empty());
}

TEST(StateSettings, WhatCannotWorkIsRefusedWithThePlaceAndTheRemedy) {
    const std::string files = "state certificate /c\nstate private-key /k\nstate server-ca /r\n";
    for (const char* bad :
         {"http://[2001:db8::1]:2379", "https://etcd.example:2379", "https://192.0.2.1:2379", "[::1]:2379"}) {
        const auto findings = validate_root(parse(files + "state etcd " + bad + "\n"));
        ASSERT_EQ(findings.size(), 1U) << bad;
        EXPECT_EQ(findings[0].to_string(),
                  fmt::format("nett.conf:4: error: \"{}\" is not https://[ADDRESS]:PORT", bad));
    }
    const auto findings = validate_root(parse("state etcd https://[::1]:2379\n"));
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].to_string().find("nett.conf:1: error: needs \"state certificate\""), 0U);
}

TEST(RootCommands, ThereIsAtLeastOneIoThreadAndNotAThousand) {
    const auto grammar = Grammar::build(root_commands()).value();
    for (const auto* text : {"io-threads 0\n", "io-threads 65\n", "io-threads some\n"}) {
        EXPECT_FALSE(parse_config(grammar, text, "nett.conf").ok()) << text;
    }
    const auto warnings = restart_warnings(read_settings(parse("")), parse("io-threads 4\n"));
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].message.find("\"io-threads\" takes effect at the next start"), std::string::npos);
}

TEST(RootCommands, WhatNeedsARestartIsSaid) {
    const auto in_force = read_settings(parse("hostname a\nstate file /a\n"));
    const auto warnings = restart_warnings(in_force, parse("hostname a\nlog level debug\nstate file /b\n"));
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings[0].to_string(), "nett.conf:3: warning: \"state file\" takes effect at the next start of nettd");
}

}  // namespace
}  // namespace nett
