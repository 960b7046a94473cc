// Against the real kernel, in a network namespace that this process makes for itself.
#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "agent/net/net.hpp"

namespace nett {
namespace {

using std::chrono::seconds;

class NetTest : public testing::Test {
protected:
    static void SetUpTestSuite() {
        // Without root a user namespace gives the same rights inside.
        ASSERT_EQ(0, unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET));
        ASSERT_EQ(0, std::system("ip link set lo up && ip link add p0 type veth peer name p1 && ip link set p0 up"));
    }
    static void TearDownTestSuite() { std::system("ip link delete p0"); }

    void SetUp() override {
        auto net = make_net(loop_.get_executor());
        ASSERT_TRUE(net) << net.error().to_string();
        net_ = std::move(*net);
    }

    LinkAddress address(const char* text, std::optional<seconds> valid = {}, std::optional<seconds> preferred = {}) {
        return {InterfaceAddress::parse(text).value(), valid, preferred};
    }
    std::vector<LinkAddress> read(const char* interface) { return net_->addresses(interface).value(); }
    std::vector<std::string> addresses(const char* interface) {
        std::vector<std::string> texts;
        for (const LinkAddress& entry : read(interface)) texts.push_back(entry.address.to_string());
        return texts;
    }
    bool has(const char* interface, const char* text) {
        auto texts = addresses(interface);
        return std::find(texts.begin(), texts.end(), text) != texts.end();
    }
    // Runs the loop until `done`, at most five seconds.
    bool run_until(const std::function<bool()>& done) {
        auto end = std::chrono::steady_clock::now() + seconds(5);
        while (!done() && std::chrono::steady_clock::now() < end) loop_.run_one_for(seconds(1));
        return done();
    }

    asio::io_context loop_;
    std::unique_ptr<Net> net_;
};

TEST_F(NetTest, ListsLinks) {
    ASSERT_TRUE(net_->link("lo"));
    EXPECT_TRUE(net_->link("lo")->up);
    ASSERT_TRUE(net_->link("p0"));
    EXPECT_EQ(17u, net_->link("p0")->mac.size());
    EXPECT_FALSE(net_->link("p1")->up);
    EXPECT_FALSE(net_->link("nowhere"));
}

TEST_F(NetTest, TellsOfLinkEventsOnce) {
    int told = 0;
    auto subscription = net_->observe_links([&] { ++told; });
    ASSERT_EQ(0, std::system("ip link set p1 up"));
    EXPECT_TRUE(run_until([&] { return net_->link("p1")->carrier && net_->link("p0")->carrier; }));
    EXPECT_GE(told, 1);
    ASSERT_EQ(0, std::system("ip link add br9 type bridge"));
    EXPECT_TRUE(run_until([&] { return net_->link("br9").has_value(); }));
    subscription.reset();
    int before = told;
    ASSERT_EQ(0, std::system("ip link delete br9"));
    EXPECT_TRUE(run_until([&] { return !net_->link("br9"); }));
    EXPECT_EQ(before, told);
}

TEST_F(NetTest, NamesTheBridgeThatTakesALinksPackets) {
    EXPECT_EQ("", net_->link("p0")->upper);
    ASSERT_EQ(0, std::system("ip link add br8 type bridge && ip link set p0 master br8"));
    EXPECT_TRUE(run_until([&] { return net_->link("p0")->upper == "br8"; }));
    ASSERT_EQ(0, std::system("ip link delete br8"));
    EXPECT_TRUE(run_until([&] { return net_->link("p0")->upper.empty(); }));
}

TEST_F(NetTest, TellsWhichLinksAddressesOthersChanged) {
    std::vector<int> told;
    auto subscription = net_->observe_addresses([&](int link) { told.push_back(link); });
    int p0 = net_->link("p0")->index;
    ASSERT_EQ(0, std::system("ip -6 address add 2001:db8:b000:7::1/64 dev p0"));
    EXPECT_TRUE(run_until([&] { return !told.empty(); }));
    EXPECT_EQ(p0, told.back());
    told.clear();
    ASSERT_EQ(0, std::system("ip -6 address delete 2001:db8:b000:7::1/64 dev p0"));
    EXPECT_TRUE(run_until([&] { return !told.empty(); }));
    subscription.reset();
    told.clear();
    bool another = false;
    const auto another_subscription = net_->observe_addresses([&](int) { another = true; });
    ASSERT_EQ(0, std::system("ip -6 address add 2001:db8:b000:7::1/64 dev p0"));
    EXPECT_TRUE(run_until([&] { return another; }));
    EXPECT_TRUE(told.empty());
    ASSERT_EQ(0, std::system("ip -6 address delete 2001:db8:b000:7::1/64 dev p0"));
}

TEST_F(NetTest, SeesThatAnAddressWasReplaced) {
    auto port = address("2001:db8:b000:8::1/64");
    ASSERT_TRUE(net_->put_address("p0", port, true));
    auto found = [&] {
        auto all = read("p0");
        return *std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.address == port.address; });
    };
    EXPECT_FALSE(found().replaced);
    // The kernel's clock of addresses has a resolution of 10 ms.
    ASSERT_EQ(0, std::system("sleep 0.03; ip -6 address replace 2001:db8:b000:8::1/64 dev p0"));
    EXPECT_TRUE(found().replaced);
    EXPECT_FALSE(found().valid_lifetime);
    ASSERT_TRUE(net_->remove_address("p0", port.address));
}

TEST_F(NetTest, PutsAndRemovesAPermanentAddress) {
    auto port = address("2001:db8:b000:1::1/64");
    ASSERT_TRUE(net_->put_address("p0", port, true));
    ASSERT_TRUE(net_->put_address("p0", port, true));
    EXPECT_TRUE(has("p0", "2001:db8:b000:1::1/64"));
    EXPECT_FALSE(has("lo", "2001:db8:b000:1::1/64"));
    for (const LinkAddress& entry : read("p0")) {
        if (entry.address == port.address) {
            EXPECT_FALSE(entry.valid_lifetime);
        }
    }
    ASSERT_TRUE(net_->remove_address("p0", port.address));
    ASSERT_TRUE(net_->remove_address("p0", port.address));
    EXPECT_FALSE(has("p0", "2001:db8:b000:1::1/64"));
}

TEST_F(NetTest, RefreshesTheLifetimesOfALease) {
    auto find = [&] {
        for (const LinkAddress& entry : read("lo")) {
            if (entry.address.length == 128 && entry.address.address.to_string() == "2001:db8:ffff::1") return entry;
        }
        return LinkAddress{};
    };
    ASSERT_TRUE(net_->put_address("lo", address("2001:db8:ffff::1/128", seconds(5), seconds(0)), true));
    EXPECT_LE(find().valid_lifetime, seconds(5));
    EXPECT_EQ(seconds(0), find().preferred_lifetime);
    ASSERT_TRUE(net_->put_address("lo", address("2001:db8:ffff::1/128", seconds(60), seconds(0)), true));
    EXPECT_GT(find().valid_lifetime, seconds(50));
    ASSERT_TRUE(net_->remove_address("lo", find().address));
}

TEST_F(NetTest, AnchorsAnAggregate) {
    auto prefix = Prefix6::parse("2001:db8:b000::/56").value();
    EXPECT_FALSE(net_->has_blackhole(prefix).value());
    ASSERT_TRUE(net_->put_blackhole(prefix));
    ASSERT_TRUE(net_->put_blackhole(prefix));
    EXPECT_TRUE(net_->has_blackhole(prefix).value());
    ASSERT_TRUE(net_->remove_blackhole(prefix));
    ASSERT_TRUE(net_->remove_blackhole(prefix));
    EXPECT_FALSE(net_->has_blackhole(prefix).value());
}

TEST_F(NetTest, AMissingInterfaceIsNotFound) {
    auto result = net_->put_address("nowhere", address("2001:db8::1/64"), false);
    ASSERT_FALSE(result);
    EXPECT_EQ(Code::kNotFound, result.error().code);
    EXPECT_TRUE(net_->remove_address("nowhere", address("2001:db8::1/64").address));
    EXPECT_FALSE(net_->addresses("nowhere"));
}

TEST_F(NetTest, ReadsNeighbours) {
    ASSERT_EQ(0, std::system("ip -6 neigh replace 2001:db8::99 lladdr 02:00:00:00:00:99 dev p0 nud permanent"));
    auto neighbours = net_->neighbours("p0").value();
    auto it = std::find_if(neighbours.begin(), neighbours.end(),
                           [](const Neighbour& n) { return n.address.to_string() == "2001:db8::99"; });
    ASSERT_NE(neighbours.end(), it);
    EXPECT_EQ("02:00:00:00:00:99", it->mac);
    EXPECT_EQ("permanent", it->state);
}

}  // namespace
}  // namespace nett
