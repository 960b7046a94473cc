#include "plugins/metadata/netbox.hpp"

#include <gtest/gtest.h>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {
namespace {

using namespace std::chrono_literals;

NetboxSettings settings_for(NetboxObjects objects = NetboxObjects::kAddresses) {
    NetboxSettings settings;
    settings.objects = objects;
    settings.field = default_netbox_field(objects);
    return settings;
}

// As NetBox 4 answers, shortened.
constexpr const char* kAddresses = R"({"count": 4, "previous": null,
 "next": "http://netbox.internal/api/ipam/ip-addresses/?limit=3&offset=3",
 "results": [
  {"id": 12, "family": {"value": 6, "label": "IPv6"}, "address": "2001:db8:1::5/64", "status": {"value": "active"},
   "assigned_object_type": "dcim.interface",
   "assigned_object": {"id": 3, "name": "lo", "device": {"id": 8, "name": "node-1", "display": "node-1 [x]"
}
}
},
  {"id": 13, "address": "192.0.2.1/24", "assigned_object": {"device": {"name": "node-2"}}},
  {"id": 14, "address": "2001:db8:1::6/128", "assigned_object": null}]
})";

TEST(NetboxPage, AnAddressIsItsDevicesPrefixOf128Bits) {
    const auto page = parse_netbox_page(kAddresses, settings_for()).value();
    EXPECT_EQ(page.results, 3U);
    EXPECT_EQ(page.skipped, 2U);  // IPv4, and one that is nobody's
    EXPECT_TRUE(page.more);
    ASSERT_EQ(page.entries.size(), 1U);
    EXPECT_EQ(page.entries[0], (NetboxEntry{"node-1", *Prefix6::parse("2001:db8:1::5/128"), 12}));
}

TEST(NetboxPage, APrefixIsOfWhomACustomFieldNames) {
    constexpr const char* kPrefixes = R"({"next": null, "results": [
      {"id": 1, "prefix": "2001:db8:2::/64", "custom_fields": {"device": {"id": 8, "name": "node-1"}, "rack": "r 1"}},
      {"id": 2, "prefix": "2001:db8:3::/64", "custom_fields": {"device": null, "rack": "r 2"}}]})";
    auto settings = settings_for(NetboxObjects::kPrefixes);
    const auto page = parse_netbox_page(kPrefixes, settings).value();
    EXPECT_FALSE(page.more);
    ASSERT_EQ(page.entries.size(), 1U);
    EXPECT_EQ(page.entries[0], (NetboxEntry{"node-1", *Prefix6::parse("2001:db8:2::/64"), 1}));
    settings.field = "custom_fields.rack";
    EXPECT_EQ(parse_netbox_page(kPrefixes, settings)->entries.size(), 2U);
    settings.field = "custom_fields.rack.unit";
    EXPECT_EQ(parse_netbox_page(kPrefixes, settings)->skipped, 2U);
}

TEST(NetboxPage, WhatIsNoPageIsAnError) {
    for (const auto* body : {"", "<html>", "[]", "{}", R"({"results": 3})", R"({"results": [3]})",
                             R"({"results": [], "next": "x"})", R"({"results": [)"}) {
        const auto page = parse_netbox_page(body, settings_for());
        ASSERT_FALSE(page) << body;
        EXPECT_EQ(page.error().code, Code::kDataLoss);
    }
    EXPECT_FALSE(parse_netbox_page(std::string(100000, '['), settings_for()));
}

TEST(NetboxTable, WhatIsAmbiguousIsNobodys) {
    const auto prefix = [](const char* text) { return *Prefix6::parse(text); };
    const auto table = make_netbox_table({{"a", prefix("2001:db8::1/128"), 1},
                                          {"a", prefix("2001:db8::1/128"), 2},
                                          {"b", prefix("2001:db8::2/128"), 3},
                                          {"b", prefix("2001:db8::3/128"), 4},
                                          {"c", prefix("2001:db8::4/128"), 5},
                                          {"d", prefix("2001:db8::4/128"), 6}});
    ASSERT_EQ(table.entries.size(), 1U);
    EXPECT_EQ(table.entries.at("a").prefix, prefix("2001:db8::1/128"));
    ASSERT_EQ(table.problems.size(), 2U);
    EXPECT_EQ(table.problems[0],
              "b has 2 prefixes in NetBox (2001:db8::2/128, 2001:db8::3/128, …); narrow \"netbox filter\"");
    EXPECT_EQ(table.problems[1], "2001:db8::4/128 is given to c and d in NetBox");
}

TEST(NetboxOrigin, IsHttpsAndNothingElse) {
    EXPECT_EQ(parse_netbox_origin("https://netbox.example")->authority(), "netbox.example");
    EXPECT_EQ(parse_netbox_origin("https://NetBox.example/")->host, "netbox.example");
    EXPECT_EQ(parse_netbox_origin("https://[2001:db8::5]:8443")->authority(), "[2001:db8::5]:8443");
    EXPECT_EQ(parse_netbox_origin("https://netbox.example:8443")->port, 8443);
    for (const auto* text :
         {"http://netbox.example", "https://", "https://a b", "https://x/netbox", "https://x:0", "https://x:y",
          "https://[2001:db8::5", "https://[::1]8", "netbox.example", "https://u@x"}) {
        EXPECT_FALSE(parse_netbox_origin(text)) << text;
    }
}

TEST(NetboxRequest, AsksForIpv6FromAnOffset) {
    auto settings = settings_for();
    EXPECT_EQ(netbox_target(settings, 0),
              fmt::format("/api/ipam/ip-addresses/?limit={}&offset=0&family=6", kNetboxPageSize));
    settings = settings_for(NetboxObjects::kPrefixes);
    settings.filter = "role=node&status=active";
    EXPECT_EQ(netbox_target(settings, 40),
              fmt::format("/api/ipam/prefixes/?limit={}&offset=40&family=6&role=node&status=active", kNetboxPageSize));
}

TEST(NetboxRequest, AFilterCannotLeaveItsPlace) {
    EXPECT_TRUE(is_netbox_filter("role=loopback&tag=a%20b&q=x"));
    for (const auto* text : {"a b", "a\r\nX: y", "a#b", "limit=0", "role=x&offset=3", "a?b"}) {
        EXPECT_FALSE(is_netbox_filter(text)) << text;
    }
    EXPECT_FALSE(is_netbox_filter(std::string(600, 'a')));
}

TEST(NetboxRequest, EachKindOfTokenHasItsScheme) {
    EXPECT_EQ(netbox_authorization("0123456789abcdef\n").value(), "Token 0123456789abcdef");
    EXPECT_EQ(netbox_authorization("nbt_key.secret").value(), "Bearer nbt_key.secret");
    for (const auto* text : {"", "\n", "a b", "a\nb", "\xc3\xa9"}) EXPECT_FALSE(netbox_authorization(text)) << text;
}

TEST(NetboxBackoff, DoublesUpToTheUsualPaceAndHeedsTheServer) {
    EXPECT_EQ(netbox_backoff(1, 300s, {}), 5s);
    EXPECT_EQ(netbox_backoff(2, 300s, {}), 10s);
    EXPECT_EQ(netbox_backoff(5, 300s, {}), 80s);
    EXPECT_EQ(netbox_backoff(100, 300s, {}), 300s);
    EXPECT_EQ(netbox_backoff(1, 300s, 60s), 60s);
    EXPECT_EQ(netbox_backoff(1, 300s, 100h), kNetboxMaxRetryAfter);
    EXPECT_EQ(netbox_backoff(3, 10s, {}), 10s);
}

TEST(NetboxPrefix, SurvivesItsRecord) {
    NetboxPrefix prefix{{"node-1", *Prefix6::parse("2001:db8:1::5/128"), 12}, SystemTime{1'700'000'000s}, true};
    const auto put = put_of(prefix);
    EXPECT_EQ(put.kind, "netbox-prefix");
    EXPECT_EQ(put.key, "node-1");
    const auto back = decode_netbox_prefix(put.value).value();
    EXPECT_EQ(back.entry, prefix.entry);
    EXPECT_EQ(back.fetched, prefix.fetched);
    EXPECT_TRUE(back.gone);
    for (const auto* text : {"", "[]", "{}", R"({"version": 2})", R"({"version": 1, "machine": "a", "prefix": "x"})"}) {
        EXPECT_FALSE(decode_netbox_prefix(text)) << text;
    }
}

}  // namespace
}  // namespace nett::metadata
