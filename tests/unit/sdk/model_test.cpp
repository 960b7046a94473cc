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

TEST(Model, EveryMemberSurvivesTheStateFile) {
    Machine machine;
    machine.name = "node-1";
    machine.tenant = "tenant-a";
    machine.uuid = "4c4c4544-0042-3510-8051-b7c04f4d3432";
    machine.macs = {"52:54:00:00:00:01", "52:54:00:00:00:02"};
    machine.serial = "S1";
    machine.state = MachineState::kReprovision;
    machine.state_since = SystemTime{std::chrono::milliseconds(1'700'000'000'123)};
    machine.locked = true;
    machine.wipe_pending = true;
    machine.artifact_set = "talos";
    machine.kernel_args = "console=ttyS0";
    machine.delivery = ConfigDelivery::kUrl;
    machine.sealed_config = "v1:AAAA";
    machine.config_sha256 = std::string(64, 'a');
    machine.config_size = 1234;
    machine.ports = {{"tor-a/swp1", Prefix6::parse("2001:db8:b000::/64").value()}};
    machine.bmc = "node-1";
    machine.boots = 7;
    machine.last_boot = {machine.state_since, "2001:db8:b000::5", "netboot"};
    expect_identity(machine);
    const auto json = to_json(machine).as_object();
    const auto blank = to_json(Machine{});
    for (const auto& [key, value] : blank.as_object()) {
        if (key == "version") continue;
        EXPECT_NE(json.at(key), value) << key << " is not covered by this test";
    }
    expect_identity(Tenant{"t", {"cn"}, {"boot.example"}, {"ou"}, 9});
    expect_identity(UnknownMachine{"id", "t", "::1", machine.state_since, machine.state_since, 3});
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
                        machine.state_since,
                        machine.state_since,
                        true});
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
    const auto put = put_of(machine);
    ASSERT_EQ(put.indexes.size(), 3U);
    EXPECT_EQ(put.indexes[0].index, kUuidIndex);
    EXPECT_EQ(put.indexes[2].value, "b");
    EXPECT_TRUE(put_of(Machine{}).indexes.empty());
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
