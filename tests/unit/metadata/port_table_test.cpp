#include "plugins/metadata/port_table.hpp"

#include <gtest/gtest.h>

#include "agent/sdk/port_records.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett::metadata::test {
namespace {

Address6 address(const char* text) {
    return boost::asio::ip::make_address_v6(text);
}

class PortTableTest : public ::testing::Test {
protected:
    void put(std::string_view kind, std::string key, std::string value) {
        store_.put({std::string(kind), std::move(key), std::move(value)});
    }
    nett::test::MemoryStore store_;
    PortTable table_;
};

TEST_F(PortTableTest, KnowsThisHostsPortsAndThoseThatSwitchesReport) {
    put(kOwnPortKind, "swp7", R"({"prefix":"2001:db8:b000:7::/64","active":true})");
    put(kReportedPortKind, "tor-b/swp1", R"({"prefix":"2001:db8:b100:1::/64"})");
    ASSERT_TRUE(table_.start(store_, "tor-a"));
    EXPECT_EQ(table_.find(address("2001:db8:b000:7::5")), "tor-a/swp7");
    EXPECT_EQ(table_.find(address("2001:db8:b100:1:ffff::1")), "tor-b/swp1");
    EXPECT_EQ(table_.find(address("2001:db8:b000:8::5")), "");
    EXPECT_EQ(table_.find(address("2001:db8::1")), "");
    EXPECT_EQ(table_.find(address("ffff::1")), "");
    table_.stop();
}

TEST_F(PortTableTest, FollowsTheRecords) {
    ASSERT_TRUE(table_.start(store_, "tor-a"));
    EXPECT_EQ(table_.find(address("2001:db8:b000:7::5")), "");
    put(kOwnPortKind, "swp7", R"({"prefix":"2001:db8:b000:7::/64","active":true})");
    EXPECT_EQ(table_.find(address("2001:db8:b000:7::5")), "tor-a/swp7");
    put(kOwnPortKind, "swp7", R"({"prefix":"2001:db8:b000:7::/64","active":false})");
    EXPECT_EQ(table_.find(address("2001:db8:b000:7::5")), "") << "the port is not configured any more";
    table_.stop();
}

TEST_F(PortTableTest, LeavesOutWhatItCannotRead) {
    put(kOwnPortKind, "swp1", "no json");
    put(kOwnPortKind, "swp2", R"({"prefix":"10.0.0.0/8"})");
    put(kOwnPortKind, "swp3", R"({"active":true})");
    put(kOwnPortKind, "swp4", R"({"prefix":"2001:db8:b000:4::/64"})");
    ASSERT_TRUE(table_.start(store_, "tor-a"));
    EXPECT_EQ(table_.size(), 1U);
    table_.stop();
}

}  // namespace
}  // namespace nett::metadata::test
