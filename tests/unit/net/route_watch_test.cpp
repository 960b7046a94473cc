// Routes through ports, against the real kernel in a namespace of its own.
#include "agent/net/route_watch.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <unistd.h>

#include "agent/net/route_message.hpp"

namespace nett {
namespace {

using std::chrono::seconds;

void shell(const std::string& command) {
    ASSERT_EQ(0, std::system(command.c_str())) << command;
}

class RouteWatchTest : public testing::Test {
protected:
    static void SetUpTestSuite() {
        ASSERT_EQ(0, unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET));
        shell("ip link set lo up");
    }
    void SetUp() override {
        for (const std::string port : {"swp1", "swp2"}) {
            shell("ip link add " + port + " type veth peer name far-" + port + " && ip link set far-" + port +
                  " up && ip link set " + port + " up");
        }
        auto routes = make_port_routes(loop_.get_executor());
        ASSERT_TRUE(routes) << routes.error().to_string();
        routes_ = std::move(*routes);
        subscription_ = routes_->observe([this](const std::vector<PortRoute>& routes) {
            seen_ = routes;
            ++readings_;
        });
    }
    void TearDown() override {
        for (const std::string port : {"swp1", "swp2"})
            std::system(("ip link delete " + port + " 2>/dev/null").c_str());
    }

    static PortRoute route(const std::string& port, const std::string& prefix, const std::string& next_hop) {
        return {port, Prefix6::parse(prefix).value(), parse_address6(next_hop).value()};
    }
    bool wait_for(const std::vector<PortRoute>& expected) {
        const auto end = std::chrono::steady_clock::now() + seconds(10);
        while (seen_ != expected && std::chrono::steady_clock::now() < end) loop_.run_one_for(seconds(1));
        return seen_ == expected;
    }
    // Until another reading has been told.
    void wait_reading() {
        const auto end = std::chrono::steady_clock::now() + seconds(10);
        for (const int before = readings_; readings_ == before && std::chrono::steady_clock::now() < end;) {
            loop_.run_one_for(seconds(1));
        }
    }
    void watch() {
        routes_->watch({"swp1", "swp2"});
        wait_reading();
    }

    asio::io_context loop_;
    std::unique_ptr<PortRoutes> routes_;
    std::optional<std::vector<PortRoute>> seen_;
    int readings_ = 0;
    Subscription subscription_;
};

TEST_F(RouteWatchTest, ARouteComesAndGoes) {
    watch();
    shell("ip -6 route add 2001:db8:c0de::1/128 via fe80::7 dev swp1 proto bgp");
    EXPECT_TRUE(wait_for({route("swp1", "2001:db8:c0de::1/128", "fe80::7")}));
    shell("ip -6 route replace 2001:db8:c0de::1/128 via fe80::8 dev swp2 proto bgp");
    EXPECT_TRUE(wait_for({route("swp2", "2001:db8:c0de::1/128", "fe80::8")}));
    shell("ip -6 route delete 2001:db8:c0de::1/128");
    EXPECT_TRUE(wait_for({}));
}

TEST_F(RouteWatchTest, WhatIsThereAlreadyIsRead) {
    shell("ip -6 route add 2001:db8:1::/48 via fe80::7 dev swp1");
    watch();
    EXPECT_TRUE(wait_for({route("swp1", "2001:db8:1::/48", "fe80::7")}));
}

TEST_F(RouteWatchTest, AMultipathRouteIsOneForEachNextHop) {
    watch();
    shell("ip -6 route add 2001:db8:c0de::1/128 nexthop via fe80::7 dev swp1 nexthop via fe80::8 dev swp2");
    EXPECT_TRUE(
        wait_for({route("swp1", "2001:db8:c0de::1/128", "fe80::7"), route("swp2", "2001:db8:c0de::1/128", "fe80::8")}));
    shell("ip -6 route delete 2001:db8:c0de::1/128 nexthop via fe80::7 dev swp1");
    EXPECT_TRUE(wait_for({route("swp2", "2001:db8:c0de::1/128", "fe80::8")}));
}

// As zebra installs its routes.
TEST_F(RouteWatchTest, ARouteByANextHopObjectIsRead) {
    watch();
    shell("ip nexthop add id 7 via fe80::7 dev swp1 && ip -6 route add 2001:db8:c0de::1/128 nhid 7");
    EXPECT_TRUE(wait_for({route("swp1", "2001:db8:c0de::1/128", "fe80::7")}));
    shell("ip nexthop delete id 7");
    EXPECT_TRUE(wait_for({}));
}

TEST_F(RouteWatchTest, OtherInterfacesTablesAndKindsOfRoutesAreNotOurs) {
    watch();
    shell("ip link add other type veth peer name far-other && ip link set other up && ip link set far-other up");
    shell("ip -6 route add 2001:db8:2::/48 via fe80::7 dev other");
    shell("ip -6 route add 2001:db8:3::/48 via fe80::7 dev swp1 table 100");
    shell("ip -6 route add 2001:db8:4::/48 dev swp1");
    shell("ip -6 route add blackhole 2001:db8:5::/48");
    shell("ip -6 route add 2001:db8:6::/48 via fe80::7 dev swp1");
    EXPECT_TRUE(wait_for({route("swp1", "2001:db8:6::/48", "fe80::7")}));
    shell("ip link delete other && ip -6 route delete blackhole 2001:db8:5::/48");
}

TEST_F(RouteWatchTest, RoutesOfALinkThatGoesDownAreGone) {
    watch();
    shell("ip -6 route add 2001:db8:c0de::1/128 via fe80::7 dev swp1");
    ASSERT_TRUE(wait_for({route("swp1", "2001:db8:c0de::1/128", "fe80::7")}));
    shell("ip link set swp1 down");
    EXPECT_TRUE(wait_for({}));
}

TEST_F(RouteWatchTest, TenThousandRoutesOfOthersDoNotHideOne) {
    shell("ip link add other type veth peer name far-other && ip link set other up && ip link set far-other up");
    watch();
    const int before = readings_;
    {
        std::string path = "/tmp/nett-routes-XXXXXX";
        const int fd = ::mkstemp(path.data());
        std::ofstream batch(path);
        for (int i = 0; i < 10'000; ++i)
            batch << fmt::format("route add 2001:db8:{:x}::/48 via fe80::7 dev other\n", i);
        batch << "route add 2001:db8:ffff:1::/64 via fe80::9 dev swp1\n" << std::flush;
        shell("ip -6 -batch " + path);
        ::close(fd);
        ::unlink(path.c_str());
    }
    EXPECT_TRUE(wait_for({route("swp1", "2001:db8:ffff:1::/64", "fe80::9")}));
    // Others' routes wake no reading; an overrun of the event socket is one.
    EXPECT_LE(readings_ - before, 3);
    shell("ip link delete other");
}

// ---- Messages ----

struct Message {
    alignas(NLMSG_ALIGNTO) std::array<char, 256> bytes{};
    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes.data()); }
    rtmsg* route() { return static_cast<rtmsg*>(NLMSG_DATA(header())); }

    explicit Message(unsigned char length) {
        header()->nlmsg_type = RTM_NEWROUTE;
        header()->nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
        route()->rtm_family = AF_INET6;
        route()->rtm_type = RTN_UNICAST;
        route()->rtm_table = RT_TABLE_MAIN;
        route()->rtm_dst_len = length;
    }
    void add(unsigned short type, const void* data, std::size_t size) {
        auto* attribute = reinterpret_cast<rtattr*>(bytes.data() + NLMSG_ALIGN(header()->nlmsg_len));
        attribute->rta_type = type;
        attribute->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
        std::memcpy(RTA_DATA(attribute), data, size);
        header()->nlmsg_len = NLMSG_ALIGN(header()->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
    }
    void add(unsigned short type, const std::string& address) {
        const auto raw = parse_address6(address)->to_bytes();
        add(type, raw.data(), raw.size());
    }
    void add(unsigned short type, int number) { add(type, &number, sizeof(number)); }
};

TEST(RouteMessage, OneNextHop) {
    Message message(64);
    message.add(RTA_DST, "2001:db8:1::");
    message.add(RTA_GATEWAY, "fe80::7");
    message.add(RTA_OIF, 5);
    const auto parsed = parse_route(message.header());
    ASSERT_TRUE(parsed);
    EXPECT_FALSE(parsed->gone);
    EXPECT_EQ(parsed->prefix.to_string(), "2001:db8:1::/64");
    EXPECT_EQ(parsed->hops, (std::vector<RouteHop>{{5, parse_address6("fe80::7").value()}}));
}

TEST(RouteMessage, WhatIsNoUnicastRouteOfTheMainTableIsNone) {
    const auto parsed = [](auto change) {
        Message message(64);
        change(message);
        return parse_route(message.header()).has_value();
    };
    EXPECT_TRUE(parsed([](Message&) {}));
    EXPECT_FALSE(parsed([](Message& m) { m.route()->rtm_family = AF_INET; }));
    EXPECT_FALSE(parsed([](Message& m) { m.route()->rtm_type = RTN_BLACKHOLE; }));
    EXPECT_FALSE(parsed([](Message& m) { m.route()->rtm_flags = RTM_F_CLONED; }));
    EXPECT_FALSE(parsed([](Message& m) { m.route()->rtm_dst_len = 129; }));
    EXPECT_FALSE(parsed([](Message& m) { m.add(RTA_TABLE, 1000); }));
    EXPECT_FALSE(parsed([](Message& m) { m.header()->nlmsg_type = RTM_NEWLINK; }));
    EXPECT_FALSE(parsed([](Message& m) { m.header()->nlmsg_len = NLMSG_LENGTH(4); }));
}

TEST(RouteMessage, AttributesThatAreCutShortAreLeftOut) {
    Message message(64);
    message.add(RTA_OIF, 5);
    message.add(RTA_GATEWAY, "fe80::7");
    for (auto length = message.header()->nlmsg_len; length >= NLMSG_LENGTH(sizeof(rtmsg)); --length) {
        message.header()->nlmsg_len = length;
        const auto parsed = parse_route(message.header());
        ASSERT_TRUE(parsed);
        EXPECT_LE(parsed->hops.size(), 1U);
    }
    EXPECT_TRUE(parse_route(message.header())->hops.empty());
}

TEST(RouteMessage, AMultipathListThatLiesAboutItsLengthEnds) {
    Message message(64);
    rtnexthop hop{};
    hop.rtnh_len = 4096;
    hop.rtnh_ifindex = 5;
    message.add(RTA_MULTIPATH, &hop, sizeof(hop));
    EXPECT_TRUE(parse_route(message.header())->hops.empty());
    Message zero(64);
    hop.rtnh_len = 0;
    zero.add(RTA_MULTIPATH, &hop, sizeof(hop));
    EXPECT_TRUE(parse_route(zero.header())->hops.empty());
}

}  // namespace
}  // namespace nett
