#include "plugins/metadata/known_boots.hpp"

#include <filesystem>

#include "agent/sdk/port_records.hpp"
#include "plugins/metadata/limits.hpp"
#include "tests/unit/metadata/service_fixture.hpp"

namespace nett::metadata::test {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kNow{1000s};

KnownBoot script(std::string text) {
    return {"node-1", true, std::move(text), "talos"};
}

TEST(KnownBoots, HoldsForOneBasisAndOneSecond) {
    KnownBoots known;
    BootBasis basis;
    basis.revision = 7;
    known.note("q", basis, script("a"), kNow);
    ASSERT_TRUE(known.find("q", basis, kNow));
    EXPECT_EQ(known.find("q", basis, kNow + kKnownBootAge - 1ms)->script, "a");
    EXPECT_FALSE(known.find("q", basis, kNow + kKnownBootAge));
    EXPECT_FALSE(known.find("other", basis, kNow));
    auto later = basis;
    later.revision = 8;
    EXPECT_FALSE(known.find("q", later, kNow)) << "any commit";
    auto judged = basis;
    judged.verdicts = 1;
    EXPECT_FALSE(known.find("q", judged, kNow)) << "a file was found damaged";
    auto configured = basis;
    configured.settings = std::make_shared<const ServiceSettings>();
    EXPECT_FALSE(known.find("q", configured, kNow));
    auto moved = basis;
    moved.ports = std::make_shared<const PortTable::Ports>();
    EXPECT_FALSE(known.find("q", moved, kNow)) << "a port has another prefix";
}

TEST(KnownBoots, WhatWasDecidedOnOlderRecordsComesTooLate) {
    KnownBoots known;
    BootBasis older;
    older.revision = 7;
    BootBasis newer;
    newer.revision = 8;
    known.note("q", newer, script("new"), kNow);
    known.note("q", older, script("old"), kNow);
    EXPECT_EQ(known.find("q", newer, kNow)->script, "new");
    EXPECT_FALSE(known.find("q", older, kNow));
}

// A server that joined another cluster, or whose etcd was restored: its revisions begin anew.
TEST(KnownBoots, RevisionsThatWentBackAreRememberedSoonAgain) {
    KnownBoots known;
    BootBasis before;
    before.revision = 8000;
    known.note("q", before, script("before"), kNow);
    BootBasis after;
    after.revision = 7;
    known.note("q", after, script("after"), kNow + kKnownBootAge);
    ASSERT_TRUE(known.find("q", after, kNow + kKnownBootAge));
    EXPECT_EQ(known.find("q", after, kNow + kKnownBootAge)->script, "after");
}

TEST(KnownBoots, IsBounded) {
    KnownBoots known;
    const BootBasis basis;
    for (std::size_t i = 0; i <= kMaxKnownBoots; ++i) known.note(std::to_string(i), basis, script("s"), kNow);
    EXPECT_FALSE(known.find("0", basis, kNow));
    EXPECT_TRUE(known.find(std::to_string(kMaxKnownBoots), basis, kNow));
}

TEST(KnownBoots, AQuestionIsWhoFromWhereToWhichAddressForWhat) {
    Peer peer;
    peer.source = boost::asio::ip::make_address_v6("2001:db8::1");
    peer.local = {boost::asio::ip::make_address_v6("2001:db8::2"), 443};
    const auto asked = KnownBoots::question("a", peer, "/v1/boot/x");
    EXPECT_EQ(KnownBoots::question("a", peer, "/v1/boot/x"), asked);
    EXPECT_NE(KnownBoots::question("b", peer, "/v1/boot/x"), asked);
    EXPECT_NE(KnownBoots::question("a", peer, "/v1/boot/y"), asked);
    auto other = peer;
    other.source = boost::asio::ip::make_address_v6("2001:db8::3");
    EXPECT_NE(KnownBoots::question("a", other, "/v1/boot/x"), asked);
    other = peer;
    other.local.port(8443);
    EXPECT_NE(KnownBoots::question("a", other, "/v1/boot/x"), asked);
}

// Counting boots is a commit, so the recorder pauses until recorded().
class KnownAnswers : public ServiceTest {
protected:
    KnownAnswers() { pause(); }
    void pause() { run(context_, with_result(recorder_.stop())); }
    void recorded() {
        EXPECT_TRUE(recorder_.start());
        pause();
    }
    void remove_kernel() { std::filesystem::remove(directory_ + "/sha256/" + sha256_hex("kernel bytes")); }
};

// The kernel's absence shows whether a request was decided on or answered from memory.
TEST_F(KnownAnswers, ARepeatedQuestionIsNotDecidedOnAgainForASecond) {
    enrol(node(MachineState::kMaintenance));
    const auto first = boot();
    EXPECT_EQ(first.status, 200U);
    remove_kernel();
    const auto second = boot();
    EXPECT_EQ(second.status, 200U);
    EXPECT_EQ(second.body, first.body);
    EXPECT_EQ(second.outcome, Outcome::kNetboot);
    EXPECT_EQ(boot(peer_of("a.boot.example", "2001:db8:b000:8::5")).status, 404U)
        << "another source is another question";
    clock_.advance(kKnownBootAge);
    EXPECT_EQ(boot().status, 404U);
    recorded();
    EXPECT_EQ(boots().boots, 4U) << "each is counted";
}

TEST_F(KnownAnswers, AnyChangeIsSeenByTheNextRequest) {
    auto machine = node(MachineState::kMaintenance);
    enrol(machine);
    EXPECT_EQ(boot().status, 200U);
    machine.locked = true;
    store.put(put_of(machine));
    EXPECT_EQ(boot().outcome, Outcome::kLocalBoot);
    machine.locked = false;
    machine.state = MachineState::kReprovision;
    machine.wipe_pending = true;
    store.put(put_of(machine));
    EXPECT_NE(boot().body.find("wipe"), std::string::npos);
    EXPECT_EQ(boot().body.find("wipe"), std::string::npos) << "the wipe is served once";
    machine = stored();
    machine.tenant = "tenant-b";
    store.put(put_of(machine));
    EXPECT_EQ(boot().outcome, Outcome::kUnknownMachine);
    EXPECT_EQ(boot(peer_of("b.boot.example")).status, 200U);
}

TEST_F(KnownAnswers, AreNobodyElsesAndOnlyForGet) {
    enrol(node(MachineState::kMaintenance));
    EXPECT_EQ(boot().status, 200U);
    EXPECT_EQ(boot(peer_of("b.boot.example")).outcome, Outcome::kUnknownMachine);
    remove_kernel();
    EXPECT_EQ(ask({Method::kHead, std::string("/v1/boot/") + kUuid}, peer_of("a.boot.example")).status, 404U);
}

TEST_F(KnownAnswers, ADisksAnswerIsRemembered) {
    enrol(node(MachineState::kActive));
    EXPECT_EQ(boot().outcome, Outcome::kLocalBoot);
    EXPECT_EQ(boot().outcome, Outcome::kLocalBoot);
    recorded();
    EXPECT_EQ(boots().boots, 2U);
    EXPECT_EQ(boots().last_boot.outcome, "localboot");
}

// Where servers share their state, a change of `ra`'s ports has no revision that the others' records have.
TEST_F(KnownAnswers, APortThatGetsAnotherPrefixIsSeenByTheNextRequest) {
    nett::test::MemoryStore own;
    const auto port = [&](const char* prefix) {
        own.put({std::string(kOwnPortKind), "swp7", fmt::format(R"({{"prefix":"{}","active":true}})", prefix)});
    };
    port("2001:db8:b000:7::/64");
    ports_.stop();
    ASSERT_TRUE(ports_.start(own, "tor-a"));
    auto machine = node(MachineState::kMaintenance);
    machine.ports = {{"tor-a/swp7", Prefix6()}};
    enrol(machine);
    const auto revision = store.revision();
    EXPECT_EQ(boot().status, 200U);
    EXPECT_EQ(boot(peer_of("a.boot.example", "2001:db8:b000:9::5")).status, 404U);
    port("2001:db8:b000:9::/64");
    EXPECT_EQ(boot().status, 404U);
    EXPECT_EQ(boot(peer_of("a.boot.example", "2001:db8:b000:9::5")).status, 200U);
    EXPECT_EQ(store.revision(), revision);
    ports_.stop();
}

TEST_F(KnownAnswers, NewSettingsHoldAtOnce) {
    enrol(node(MachineState::kMaintenance));
    EXPECT_NE(boot().body.find("[2001:db8:ffff::1]/"), std::string::npos);
    settings_.server_address = Address6(boost::asio::ip::make_address_v6("2001:db8:ffff::2"));
    service_.set_settings(settings_);
    EXPECT_NE(boot().body.find("[2001:db8:ffff::2]/"), std::string::npos);
}

// The limit counts boots by when they begin; a client that asks in a loop is one boot, however often it asks.
TEST_F(KnownAnswers, AskingInALoopIsOneBoot) {
    enrol(node(MachineState::kMaintenance));
    for (int i = 0; i < 40; ++i) {
        boot();
        clock_.advance(std::chrono::milliseconds(100));
    }
    recorded();
    EXPECT_EQ(boots().boots, 40U);
    EXPECT_EQ(boots().recent.size(), 1U);
    EXPECT_EQ(boots().last_boot.time, clock_.system_now() - std::chrono::milliseconds(100));
}

// The boot that reaches the limit is served for kSameBoot, and remembered as every other; what is remembered ends with
// it.
TEST_F(KnownAnswers, TheLastBootBeforeAHoldIsRememberedUntilItIsOver) {
    Profile profile;
    profile.name = "hasty";
    profile.boot_loop = {1, 30};
    store.put(put_of(profile));
    auto machine = node(MachineState::kMaintenance);
    machine.profile = profile.name;
    enrol(machine);
    EXPECT_EQ(boot().status, 200U);
    recorded();  // the limit is reached
    const auto first = boot();
    EXPECT_EQ(first.status, 200U);
    EXPECT_EQ(boot().boot_id, first.boot_id) << "not decided on again";
    recorded();
    clock_.advance(kSameBoot - std::chrono::milliseconds(1));
    const auto late = boot();
    EXPECT_EQ(late.status, 200U);
    EXPECT_NE(boot().boot_id, late.boot_id) << "it would outlast the boot";
    clock_.advance(std::chrono::milliseconds(1));
    EXPECT_EQ(boot().status, 404U);
    EXPECT_FALSE(stored().hold.reason.empty());
}

}  // namespace
}  // namespace nett::metadata::test
