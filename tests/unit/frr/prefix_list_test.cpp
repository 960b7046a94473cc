#include "agent/frr/prefix_list.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

namespace nett {
namespace {

const Prefix6 kMeta = Prefix6::parse("2001:db8:ffff::1/128").value();
const EntryKey kGate{"NETT-ANYCAST", 5};

PrefixListEntry gate(bool permit) {
    return {kGate.first, kGate.second, permit, kMeta};
}

TEST(PrefixLists, PutsAMissingOrDifferentEntryAndNothingElse) {
    EXPECT_EQ(1u, plan_prefix_lists({{kGate, gate(true)}}, {}, {}).put.size());
    EXPECT_EQ(1u, plan_prefix_lists({{kGate, gate(true)}}, {}, {{kGate, gate(false)}}).put.size());
    EXPECT_TRUE(plan_prefix_lists({{kGate, gate(true)}}, {}, {{kGate, gate(true)}}).empty());
    EXPECT_TRUE(plan_prefix_lists({}, {}, {{kGate, gate(true)}}).empty());
}

TEST(PrefixLists, MakesAForeignEntryAnew) {
    auto change = plan_prefix_lists({{kGate, gate(true)}}, {}, {{kGate, std::nullopt}});
    EXPECT_EQ(1u, change.put.size());
    EXPECT_EQ(std::vector<EntryKey>{kGate}, change.remove);
}

TEST(PrefixLists, RemovesWhatIsNoLongerDeclared) {
    EXPECT_EQ(std::vector<EntryKey>{kGate}, plan_prefix_lists({}, {kGate}, {{kGate, gate(true)}}).remove);
    EXPECT_TRUE(plan_prefix_lists({}, {kGate}, {}).empty());
    EXPECT_TRUE(plan_prefix_lists({{kGate, gate(true)}}, {kGate}, {{kGate, gate(true)}}).empty());
}

TEST(PrefixLists, WritesYangData) {
    PrefixListChange change{{gate(true)}, {{"OLD", 10}}};
    EXPECT_EQ(boost::json::parse(R"({"frr-filter:lib":{"prefix-list":[{"type":"ipv6","name":"NETT-ANYCAST","entry":[
        {"sequence":5,"action":"permit","ipv6-prefix":"2001:db8:ffff::1/128"}]}]}})"),
              boost::json::parse(merge_json(change)));
    EXPECT_EQ(
        std::vector<std::string>{"/frr-filter:lib/prefix-list[type=\"ipv6\"][name=\"OLD\"]/entry[sequence=\"10\"]"},
        delete_paths(change));
}

TEST(PrefixLists, ReadsYangData) {
    PrefixListTable table;
    ASSERT_TRUE(parse_prefix_list(R"({"frr-filter:prefix-list":[{"type":"ipv6","name":"NETT-ANYCAST","entry":[
        {"sequence":5,"action":"permit","ipv6-prefix":"2001:db8:ffff::1/128"},
        {"sequence":7,"action":"permit","ipv6-prefix":"2001:db8::/32","ipv6-prefix-length-lesser-or-equal":64},
        {"sequence":1000,"action":"deny","any":[null]}]}]})",
                                  table));
    EXPECT_EQ(3u, table.size());
    EXPECT_EQ(gate(true), table[kGate]);
    EXPECT_EQ(std::nullopt, (table[{"NETT-ANYCAST", 7}]));
    EXPECT_EQ(std::nullopt, (table[{"NETT-ANYCAST", 1000}]));
    ASSERT_TRUE(parse_prefix_list("", table));
    EXPECT_FALSE(parse_prefix_list("{\"frr-filter:prefix-list\":7}", table));
}

}  // namespace
}  // namespace nett
