#include "agent/sdk/model.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

namespace nett {
namespace {

template <typename T>
T round_trip(const T& value) {
    return decode<T>(boost::json::serialize(to_json(value))).value();
}

template <typename T>
void expect_identity(const T& value) {
    EXPECT_EQ(to_json(round_trip(value)), to_json(value));
}

const SystemTime kTime{std::chrono::milliseconds(1'700'000'000'123)};

// Also that the value sets every member.
template <typename T>
void expect_whole(const T& value) {
    expect_identity(value);
    const auto json = to_json(value).as_object();
    const auto blank = to_json(T{});
    for (const auto& [key, none] : blank.as_object()) {
        if (key == "version") continue;
        EXPECT_NE(json.at(key), none) << key << " is not covered by this test";
    }
}

TEST(Model, EveryMemberSurvivesTheStateFile) {
    Machine machine;
    machine.name = "node-1";
    machine.tenant = "tenant-a";
    machine.uuid = "4c4c4544-0042-3510-8051-b7c04f4d3432";
    machine.macs = {"52:54:00:00:00:01", "52:54:00:00:00:02"};
    machine.serial = "S1";
    machine.state = MachineState::kReprovision;
    machine.state_since = kTime;
    machine.locked = true;
    machine.wipe_pending = true;
    machine.artifact_set = "talos";
    machine.kernel_args = "console=ttyS0";
    machine.delivery = ConfigDelivery::kUrl;
    machine.config_sha256 = std::string(64, 'a');
    machine.config_size = 1234;
    machine.ports = {{"tor-a/swp1", Prefix6::parse("2001:db8:b000::/64").value()}};
    machine.bmc = "node-1";
    machine.profile = "worker";
    machine.state_actor = "unix:root";
    machine.state_reason = "asked";
    machine.hold = {"loops", kTime, kTime};
    machine.erase = {kTime, kTime, "certificate 7"};
    machine.production = {ProductionMode::kPool, "nodes", "2001:db8:f::/64"};
    expect_whole(machine);
    expect_whole(
        Tenant{"t", {"cn"}, {"boot.example"}, {"ou"}, 9, {{{"tor-a/*"}, {"u"}, {"52:54:00"}, "p", "n-{mac}"}}});
    Profile profile{"t", "p", "a", "r", "e", "k=v", "pool", ConfigDelivery::kToken, {{"install", "#!ipxe"}}};
    profile.deadlines = {{MachineState::kNew, std::chrono::seconds(7)}};
    profile.confirm = ConfirmBy::kConfigFetched;
    profile.boot_loop = {3, 9};
    expect_whole(profile);
    expect_whole(MachineConfig{"m", "v1:AAAA", "ab", 17});
    expect_whole(BootHistory{"m", 7, {kTime, "2001:db8:b000::5", "netboot"}, {kTime, kTime}});
    expect_whole(UnknownMachine{"id", "t", "::1", kTime, kTime, 3, "u", {"m"}, "s", "tor-a/swp1"});
    expect_whole(PrefixPool{"nodes", "t", Prefix6::parse("2001:db8:f::/48").value(), 128});
    expect_whole(Allocation{"nodes", "m", Prefix6::parse("2001:db8:f::/64").value(), kTime});
    expect_whole(BootToken{"ab", "m", "cd", kTime, kTime, "::1"});
    expect_whole(MediaGrant{"ab", "7", "m", "/i.iso", "cd", {Prefix6::parse("2001:db8::/64").value()}, kTime});
    expect_whole(IdempotencyRecord{"unix:root", "k", "PutMachine", "ab", "17", kTime});
    expect_identity(
        ArtifactSet{"s", "v1", "amd64", "abc", "a=b", {{"vmlinuz", "ff", 5}}, "vmlinuz", "initramfs.xz", "[]"});
    expect_identity(Bmc{"b", "https://[::1]", "root", "v1:x", "/redfish/v1/Systems/1", "/ca.pem", "ab"});
    expect_identity(Job{"17",
                        "provision",
                        "m",
                        "QUEUED",
                        "why",
                        {{"image-url", "https://[::1]/a.iso"}},
                        "{}",
                        kTime,
                        kTime,
                        true,
                        true,
                        "key"});
}

TEST(Model, UnknownMembersOfANewerNeighbourAreIgnored) {
    EXPECT_EQ(decode<Tenant>(R"({"version":1,"name":"t","colour":"red"})")->name, "t");
}

TEST(Model, DamageIsNamed) {
    EXPECT_EQ(decode<Tenant>("{").error().code, Code::kDataLoss);
    EXPECT_EQ(decode<Tenant>(R"({"version":2,"name":"t"})").error().message,
              "the stored tenant has version 2; this agent knows version 1");
    EXPECT_EQ(decode<Machine>(R"({"version":1,"name":"m","state":"sleeping"})").error().message,
              "the stored machine has an unusable member \"state\"");
    EXPECT_EQ(decode<Machine>(R"({"version":1,"state":"new","delivery":"embedded","ports":[{"prefix":"x"}]})")
                  .error()
                  .message,
              "the stored machine has an unusable member \"ports\"");
}

TEST(Model, MachinesAreFoundByUuidAndEachMac) {
    Machine machine;
    machine.name = "m";
    machine.uuid = "u";
    machine.macs = {"a", "b"};
    machine.serial = "To Be Filled By O.E.M.";
    const auto put = put_of(machine);
    ASSERT_EQ(put.indexes.size(), 3U) << "a serial number that is none finds nothing";
    EXPECT_EQ(put.indexes[0].index, kUuidIndex);
    EXPECT_EQ(put.indexes[2].value, "b");
    EXPECT_TRUE(put_of(Machine{}).indexes.empty());
}

TEST(Model, AnOlderRecordHasTheDefaultsOfWhatItLacks) {
    const auto machine = decode<Machine>(R"({"version":1,"name":"m","state":"active","delivery":"url"})").value();
    EXPECT_TRUE(machine.hold.reason.empty());
    EXPECT_EQ(machine.production.mode, ProductionMode::kNone);
    const auto profile = decode<Profile>(R"({"version":1,"name":"p"})").value();
    EXPECT_EQ(profile.deadlines, Profile{}.deadlines);
    EXPECT_EQ(profile.boot_loop, BootLoopLimit{});
    EXPECT_TRUE(decode<Profile>(R"({"version":1,"name":"p","deadlines":{}})")->deadlines.empty());
}

TEST(Model, JobKeysSortAsNumbers) {
    EXPECT_LT(job_key("9"), job_key("10"));
    EXPECT_EQ(job_key("17").size(), 20U);
}

TEST(Model, TimesRoundTripToTheMillisecond) {
    const SystemTime time{std::chrono::milliseconds(1'795'259'101'007)};
    EXPECT_EQ(parse_rfc3339(to_rfc3339(time)).value(), time);
    EXPECT_EQ(to_rfc3339(SystemTime{}), "");
    for (const auto* text : {"2026-11-21", "2026-11-21T11:05:00Z", "2026-11-21 11:05:00.000Z", "yesterday"}) {
        EXPECT_FALSE(parse_rfc3339(text)) << text;
    }
}

}  // namespace
}  // namespace nett
