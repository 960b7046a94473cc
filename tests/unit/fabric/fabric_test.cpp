// The joined parts: routes in, reports out; reports in, events out.
#include "agent/fabric/fabric.hpp"

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json/serialize.hpp>

#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"
#include "agent/sdk/model.hpp"
#include "tests/unit/support/fake_fabric.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett {
namespace {

using std::chrono::seconds;

PortPrefix at(const std::string& port, const std::string& prefix, const std::string& next_hop = "fe80::1") {
    return {port, Prefix6::parse(prefix).value(), parse_address6(next_hop).value()};
}

class FakeRoutes final : public PortRoutes {
public:
    std::set<std::string> wanted;
    std::function<void(const std::vector<PortRoute>&)> tell;
    void watch(std::set<std::string> interfaces) override { wanted = std::move(interfaces); }
    Subscription observe(std::function<void(const std::vector<PortRoute>&)> observer) override {
        tell = std::move(observer);
        return Subscription([this] { tell = nullptr; });
    }
};

class FabricTest : public testing::Test {
protected:
    FabricTest() {
        all_ = events_.subscribe("", [this](const Event& event) {
            if (event.type != "fabric.prefix" && event.type != "machine.fabric") return;
            seen_.push_back(fmt::format("{} {} {} by {}", event.subject, event.fields.at("port"),
                                        event.fields.at("state"), event.fields.at("origin")));
        });
    }
    ~FabricTest() override {
        asio::co_spawn(loop_, fabric_.stop(), asio::detached);
        settle();
    }
    void settle() {
        loop_.restart();
        while (loop_.poll() > 0) {
        }
    }
    void apply(seconds stable_time) {
        FabricSettings settings;
        settings.stable_time = stable_time;
        asio::co_spawn(loop_, fabric_.apply(std::move(settings)), asio::detached);
        settle();
    }
    Result<bool> receive(const std::string& origin, std::uint64_t generation,
                         std::optional<std::vector<PortPrefix>> set, std::vector<ReportedPort> ports = {}) {
        FabricReport report{"run", generation, set.has_value(), set.value_or(std::vector<PortPrefix>()),
                            std::move(ports)};
        auto result = fabric_.receive(origin, std::move(report));
        settle();
        return result;
    }
    void put_machine(const std::string& name, const std::string& production, const std::vector<std::string>& ports) {
        Machine machine;
        machine.name = name;
        machine.production = {ProductionMode::kStatic, "", production};
        for (const auto& port : ports) machine.ports.push_back({port, Prefix6::parse("2001:db8:b000::/64").value()});
        store_.put({std::string(kMachineKind),
                    name,
                    boost::json::serialize(to_json(machine)),
                    {{std::string(kProductionIndex), production}}});
    }
    std::vector<std::string> machine_events() {
        auto events = take();
        std::erase_if(events, [](const auto& text) { return text.starts_with("2001:"); });
        return events;
    }
    // "tor-b/swp1 2001:db8:b000::/64" of each record.
    std::vector<std::string> recorded() const {
        std::vector<std::string> out;
        const auto ports = read_reported_ports(store_).value();
        for (const auto& port : ports) {
            out.push_back(port.port + " " + port.prefix.to_string());
        }
        return out;
    }
    std::vector<std::string> take() { return std::exchange(seen_, {}); }

    asio::io_context loop_;
    ManualClock clock_;
    LoopEventBus events_{loop_.get_executor(), clock_};
    LoopHealthRegistry health_{loop_.get_executor(), clock_, events_};
    test::MemoryStore store_;
    test::FakeNet net_;
    FakeRoutes routes_;
    std::vector<std::string> seen_;
    Subscription all_;
    Fabric fabric_{FabricDependencies{
        {loop_.get_executor(), clock_, store_, net_, routes_, "tor-a"}, events_, health_, [](const auto&) {
            return nullptr;
        }}};
};

TEST_F(FabricTest, ThePortsThatRaServesAreWatched) {
    apply(seconds(0));
    EXPECT_TRUE(routes_.wanted.empty());
    store_.put({"ra-port", "swp7", R"({"index":7,"prefix":"2001:db8:b000:7::/64","active":true})"});
    store_.put({"ra-port", "swp8", R"({"index":8,"prefix":"2001:db8:b000:8::/64","active":false})"});
    settle();
    EXPECT_EQ(routes_.wanted, std::set<std::string>{"swp7"});
}

TEST_F(FabricTest, OwnPrefixesAreEventsWithThePortsFullName) {
    apply(seconds(0));
    routes_.tell({{"swp7", Prefix6::parse("2001:db8:c0de::1/128").value(), parse_address6("fe80::1").value()}});
    settle();
    EXPECT_EQ(take(), std::vector<std::string>{"2001:db8:c0de::1/128 tor-a/swp7 up by tor-a"});
    routes_.tell({});
    settle();
    EXPECT_EQ(take(), std::vector<std::string>{"2001:db8:c0de::1/128 tor-a/swp7 down by tor-a"});
}

TEST_F(FabricTest, AReportsDifferencesAreEvents) {
    EXPECT_EQ(receive("tor-b.example", 1, {{at("tor-b/swp1", "2001:db8:1::/64"), at("tor-b/swp2", "2001:db8:2::/64")}}),
              false);
    EXPECT_EQ(take(), (std::vector<std::string>{"2001:db8:1::/64 tor-b/swp1 up by tor-b.example",
                                                "2001:db8:2::/64 tor-b/swp2 up by tor-b.example"}));
    // A new next hop is no event.
    receive("tor-b.example", 2, {{at("tor-b/swp2", "2001:db8:2::/64", "fe80::99")}});
    EXPECT_EQ(take(), std::vector<std::string>{"2001:db8:1::/64 tor-b/swp1 down by tor-b.example"});
}

TEST_F(FabricTest, AWordAboutASetThatIsNotKnownAsksForAllOfIt) {
    EXPECT_EQ(receive("tor-b", 4, std::nullopt), true);
    EXPECT_EQ(receive("tor-b", 4, std::vector<PortPrefix>()), false);
    EXPECT_EQ(receive("tor-b", 4, std::nullopt), false);
    EXPECT_EQ(receive("tor-b", 5, std::nullopt), true);
    EXPECT_EQ(receive("tor-c", 4, std::nullopt), true);
}

TEST_F(FabricTest, ASwitchCannotSpeakForAnother) {
    for (const std::string port : {"tor-a/swp1", "tor-bb/swp1", "swp1", "tor-b/"}) {
        const auto refused = receive("tor-b.example", 1, {{at(port, "2001:db8:1::/64")}});
        ASSERT_FALSE(refused) << port;
        EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
    }
    EXPECT_TRUE(take().empty());
    EXPECT_FALSE(fabric_.view().origins().contains("tor-b.example"));
}

ReportedPort port(const std::string& name, const std::string& prefix) {
    return {name, Prefix6::parse(prefix).value()};
}
using Rows = std::vector<std::string>;

TEST_F(FabricTest, ASwitchsPortsAreRecordedAsItReportsThem) {
    const auto first = port("tor-b/swp1", "2001:db8:b000:1::/64");
    receive("tor-b.example", 1, {{}}, {first, port("tor-b/swp2", "2001:db8:b000:2::/64")});
    EXPECT_EQ(recorded(), (Rows{"tor-b/swp1 2001:db8:b000:1::/64", "tor-b/swp2 2001:db8:b000:2::/64"}));
    const auto before = store_.revision();
    receive("tor-b.example", 1, std::nullopt);
    receive("tor-b.example", 1, {{}}, {first, port("tor-b/swp2", "2001:db8:b000:2::/64")});
    EXPECT_EQ(store_.revision(), before) << "nothing is new";
    receive("tor-b.example", 2, {{}}, {port("tor-b/swp1", "2001:db8:b000:9::/64")});
    EXPECT_EQ(recorded(), Rows{"tor-b/swp1 2001:db8:b000:9::/64"});
    receive("tor-c", 1, {{}}, {port("tor-c/swp1", "2001:db8:b000:1::/64")});
    EXPECT_EQ(recorded().size(), 2U) << "one switch's report says nothing of another's";
    EXPECT_EQ(fabric_.ports().value()[1].prefix, "2001:db8:b000:1::/64");
    receive("tor-b.example", 3, {{}});
    EXPECT_EQ(recorded(), Rows{"tor-c/swp1 2001:db8:b000:1::/64"});
}

TEST_F(FabricTest, PortsThatCannotBeRecordedAreTriedAgainWithTheNextWord) {
    store_.commit_fault = Error{Code::kUnavailable, "no quorum", {}};
    EXPECT_EQ(receive("tor-b", 1, {{}}, {port("tor-b/swp1", "2001:db8:b000:1::/64")}), false);
    EXPECT_TRUE(recorded().empty());
    store_.commit_fault.reset();
    EXPECT_EQ(receive("tor-b", 1, std::nullopt), false);
    EXPECT_EQ(recorded(), Rows{"tor-b/swp1 2001:db8:b000:1::/64"});
}

TEST_F(FabricTest, ALargeSwitchIsSeveralTransactions) {
    std::vector<ReportedPort> ports;
    const auto all = Prefix6::parse("2001:db8:b000::/48").value();
    for (unsigned i = 0; i < 512; ++i) ports.push_back({fmt::format("tor-b/swp{}", i), all.subnet(i, 64)});
    receive("tor-b", 1, {{}}, ports);
    EXPECT_EQ(recorded().size(), 512U);
    EXPECT_EQ(store_.revision(), 11U) << "50 at a time";
}

TEST_F(FabricTest, ASwitchCannotTakeThePrefixOfAnothersPort) {
    receive("tor-b", 1, {{}}, {port("tor-b/swp1", "2001:db8:b000:1::/64")});
    receive("tor-c", 1, {{}}, {port("tor-c/swp1", "2001:db8:b000:1::/64"), port("tor-c/swp2", "2001:db8:b000:2::/64")});
    EXPECT_EQ(recorded(), (Rows{"tor-b/swp1 2001:db8:b000:1::/64", "tor-c/swp2 2001:db8:b000:2::/64"}));
    ASSERT_EQ(health_.conditions().size(), 1U);
    EXPECT_EQ(health_.conditions()[0].name, "ports of tor-c");
    EXPECT_EQ(health_.conditions()[0].state, HealthState::kDegraded);
    EXPECT_EQ(health_.conditions()[0].message, "tor-c/swp1 has the prefix 2001:db8:b000:1::/64 of tor-b/swp1");
    // tor-b is away for good: tor-c has its cables now.
    clock_.advance(kSilentAfter + seconds(1));
    EXPECT_EQ(receive("tor-c", 1, std::nullopt), false);
    EXPECT_EQ(recorded(), (Rows{"tor-c/swp1 2001:db8:b000:1::/64", "tor-c/swp2 2001:db8:b000:2::/64"}));
    EXPECT_EQ(health_.conditions()[0].state, HealthState::kOk);
}

TEST_F(FabricTest, PortsOfAnotherSwitchOrOfNoShapeAreRefused) {
    for (const auto& [bad, code] : std::vector<std::pair<ReportedPort, Code>>{
             {port("tor-a/swp1", "2001:db8:b000:1::/64"), Code::kPermissionDenied},
             {port("tor-b/", "2001:db8:b000:1::/64"), Code::kPermissionDenied},
             {port("tor-b/swp1", "2001:db8:b000::/56"), Code::kInvalidArgument},
             {port("tor-b/" + std::string(300, 'x'), "2001:db8:b000:1::/64"), Code::kInvalidArgument}}) {
        const auto refused = receive("tor-b", 1, {{}}, {bad});
        ASSERT_FALSE(refused) << bad.port;
        EXPECT_EQ(refused.error().code, code);
    }
    EXPECT_FALSE(receive("tor-b", 1, {{}},
                         {port("tor-b/swp1", "2001:db8:b000:1::/64"), port("tor-b/swp1", "2001:db8:b000:2::/64")}));
    EXPECT_TRUE(recorded().empty());
}

TEST_F(FabricTest, AMachinesPrefixIsItsCondition) {
    put_machine("node-1", "2001:db8:c0de::1/128", {"tor-a/swp7", "tor-b/swp7"});
    receive("tor-a", 1, {{at("tor-a/swp7", "2001:db8:c0de::1/128")}});
    receive("tor-b", 1, {{at("tor-b/swp7", "2001:db8:c0de::1/128")}});
    EXPECT_EQ(machine_events(), std::vector<std::string>{"node-1 tor-a/swp7 present by tor-a"});
    // One link is left.
    receive("tor-a", 2, std::vector<PortPrefix>());
    EXPECT_TRUE(machine_events().empty());
    EXPECT_EQ(fabric_.machines().of("node-1")->port, "tor-b/swp7");
    EXPECT_TRUE(fabric_.machines().of("node-1")->expected);
    receive("tor-b", 2, std::vector<PortPrefix>());
    EXPECT_EQ(machine_events(), std::vector<std::string>{"node-1 tor-b/swp7 absent by tor-b"});
    EXPECT_FALSE(fabric_.machines().of("node-2"));
}

TEST_F(FabricTest, AMachineBehindAPortThatItIsNotBoundToIsSaidToBe) {
    put_machine("node-1", "2001:db8:c0de::1/128", {"tor-a/swp7"});
    receive("tor-a", 1, {{at("tor-a/swp9", "2001:db8:c0de::1/128"), at("tor-a/swp8", "2001:db8:dead::1/128")}});
    EXPECT_EQ(machine_events(), std::vector<std::string>{"node-1 tor-a/swp9 present by tor-a"});
    EXPECT_FALSE(fabric_.machines().of("node-1")->expected);
    const auto rows = fabric_.ports().value();
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[2].port, "tor-a/swp9");
    EXPECT_EQ(rows[2].machine, "node-1");
    EXPECT_EQ(rows[2].known_by, "production");
}

TEST_F(FabricTest, ASilentSwitchIsAHealthConditionAndKeepsItsPrefixes) {
    FabricView view(events_, health_, clock_);
    view.replace("tor-b", {at("tor-b/swp1", "2001:db8:1::/64")});
    view.replace("tor-a", {}, true);
    clock_.advance(kSilentAfter + seconds(1));
    view.check();
    settle();
    ASSERT_EQ(health_.conditions().size(), 1U);
    EXPECT_EQ(health_.conditions()[0].name, "tor-b");
    EXPECT_EQ(health_.conditions()[0].state, HealthState::kDegraded);
    EXPECT_EQ(view.origins().at("tor-b").prefixes.size(), 1U);
    view.heard("tor-b");
    settle();
    EXPECT_EQ(health_.conditions()[0].state, HealthState::kOk);
}

}  // namespace
}  // namespace nett
