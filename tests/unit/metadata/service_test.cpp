#include "plugins/metadata/service.hpp"

#include <filesystem>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "agent/sdk/port_records.hpp"
#include "plugins/metadata/limits.hpp"
#include "tests/unit/metadata/service_fixture.hpp"

namespace nett::metadata::test {
namespace {

std::string bytes_of(const Response& response) {
    return render_head(response, true, ManualClock().system_now()) + response.body;
}

TEST_F(ServiceTest, FirstBootInstallsAndIsDurableBeforeTheAnswer) {
    enrol(node());
    const auto answer = boot();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.outcome, Outcome::kNetboot);
    EXPECT_TRUE(answer.body.starts_with("#!ipxe\n"));
    EXPECT_NE(answer.body.find("https://[2001:db8:ffff::1]/v1/config/" + std::string(kUuid) + "/config.sqsh"),
              std::string::npos);
    const auto machine = stored();
    EXPECT_EQ(machine.state, MachineState::kProvisioning);
    EXPECT_EQ(store.log.back().actor, "plugin:metadata");
    flush();
    EXPECT_EQ(boots().boots, 1U);
    EXPECT_EQ(boots().last_boot.outcome, "netboot");
    EXPECT_EQ(boots().last_boot.source, "2001:db8:b000:7::5");
    EXPECT_TRUE(events_.has("machine.state"));
}

TEST_F(ServiceTest, AnActiveMachineBootsItsDiskAndIsCounted) {
    enrol(node(MachineState::kActive));
    EXPECT_EQ(boot().status, 404U);
    EXPECT_EQ(boot().outcome, Outcome::kLocalBoot);
    flush();
    EXPECT_EQ(boots().boots, 2U);
    EXPECT_EQ(boots().last_boot.outcome, "localboot");
    EXPECT_EQ(stored().state, MachineState::kActive);
}

TEST_F(ServiceTest, ALockedMachineBootsItsDisk) {
    auto machine = node();
    machine.locked = true;
    enrol(machine);
    EXPECT_EQ(boot().outcome, Outcome::kLocalBoot);
    EXPECT_EQ(get("/v1/config/" + std::string(kUuid)).status, 404U);
    EXPECT_EQ(stored().state, MachineState::kNew);
}

TEST_F(ServiceTest, ServesTheWipeOnceThenInstalls) {
    auto machine = node(MachineState::kReprovision);
    machine.wipe_pending = true;
    enrol(machine);
    EXPECT_NE(boot().body.find("talos.experimental.wipe=system"), std::string::npos);
    EXPECT_FALSE(stored().wipe_pending);
    EXPECT_EQ(stored().state, MachineState::kReprovision);
    const auto second = boot();
    EXPECT_EQ(second.status, 200U);
    EXPECT_EQ(second.body.find("wipe"), std::string::npos);
    EXPECT_EQ(stored().state, MachineState::kProvisioning);
    EXPECT_EQ(boot().body.find("wipe"), std::string::npos);
}

TEST_F(ServiceTest, TwoNicsAskingAtOnceGetOneWipe) {
    auto machine = node(MachineState::kReprovision);
    machine.wipe_pending = true;
    enrol(machine);
    bool raced = false;
    store.before_commit = [&] {
        if (std::exchange(raced, true)) return;
        auto other = stored();  // the other request's commit wins
        other.wipe_pending = false;
        store.put(put_of(other));
    };
    const auto answer = boot();
    store.before_commit = nullptr;  // the boot itself is recorded later
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body.find("wipe"), std::string::npos);
}

TEST_F(ServiceTest, ServesNothingWhenTheStateCannotBeMadeDurable) {
    enrol(node());
    store.commit_fault = Error{Code::kUnavailable, "disk full", {}};
    const auto answer = boot();
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.body, "try again\n");
    EXPECT_EQ(stored().state, MachineState::kNew);
    store.commit_fault.reset();
}

TEST_F(ServiceTest, HeadAnswersLikeGetAndChangesNothing) {
    enrol(node());
    const auto head = ask({Method::kHead, std::string("/v1/boot/") + kUuid}, peer_of("a.boot.example"));
    EXPECT_EQ(stored().state, MachineState::kNew);
    auto answer = boot();
    EXPECT_TRUE(head.boot_id.empty());
    EXPECT_EQ(std::exchange(answer.boot_id, "").size(), 12U);
    EXPECT_EQ(bytes_of(head), bytes_of(answer));
    flush();
    EXPECT_EQ(boots().boots, 1U);
}

TEST_F(ServiceTest, FindsByMacWhenTheUuidIsNone) {
    auto machine = node();
    machine.uuid.clear();
    enrol(machine);
    const auto answer = get("/v1/boot/00000000-0000-0000-0000-000000000000?mac=52%3A54%3A00%3A12%3A34%3A56");
    EXPECT_EQ(answer.status, 200U);
    EXPECT_NE(answer.body.find("/v1/config/52-54-00-12-34-56/extensions.yaml"), std::string::npos);
    EXPECT_EQ(get("/v1/boot/52-54-00-12-34-56").status, 200U);
}

TEST_F(ServiceTest, AForeignMachineIsAnsweredLikeNone) {
    enrol(node());
    for (const auto* path : {"/v1/boot/", "/v1/config/"}) {
        for (const auto* part : {"", "/extensions.yaml", "/config.sqsh"}) {
            if (std::string_view(path) == "/v1/boot/" && *part != '\0') continue;
            const auto foreign = get(std::string(path) + kUuid + part, peer_of("b.boot.example"));
            const auto none =
                get(std::string(path) + "11111111-2222-3333-4444-555555555555" + part, peer_of("b.boot.example"));
            EXPECT_EQ(bytes_of(foreign), bytes_of(none)) << path << part;
            EXPECT_EQ(foreign.status, 404U);
            EXPECT_EQ(foreign.outcome, none.outcome);
        }
    }
    EXPECT_EQ(stored().state, MachineState::kNew);
    EXPECT_EQ(boots().boots, 0U);
}

TEST_F(ServiceTest, LocalbootUnknownAndRefusedAreTheSameBytes) {
    enrol(node(MachineState::kActive));
    const auto disk = bytes_of(boot());
    EXPECT_EQ(disk, bytes_of(get("/v1/boot/11111111-2222-3333-4444-555555555555")));
    auto bound = node();
    bound.ports = {{"tor-a/swp1", Prefix6::parse("2001:db8:b000:1::/64").value()}};
    enrol(bound);
    EXPECT_EQ(disk, bytes_of(boot()));
}

TEST_F(ServiceTest, ACertificateOfNoTenantIsRefused) {
    enrol(node());
    EXPECT_EQ(boot(peer_of("c.boot.example")).status, 403U);
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz", peer_of("c.boot.example")).status, 403U);
}

TEST_F(ServiceTest, FollowsChangesOfTheTenants) {
    enrol(node());
    Tenant a;
    a.name = "tenant-a";
    a.common_names = {"renamed.boot.example"};
    store.put(put_of(a));
    EXPECT_EQ(boot().status, 403U);
    EXPECT_EQ(boot(peer_of("renamed.boot.example")).status, 200U);
}

TEST_F(ServiceTest, ABoundMachineIsServedOnlyBehindItsPorts) {
    auto machine = node();
    machine.ports = {{"tor-a/swp7", Prefix6::parse("2001:db8:b000:7::/64").value()},
                     {"tor-b/swp7", Prefix6::parse("2001:db8:b000:107::/64").value()}};
    enrol(machine);
    const auto elsewhere = peer_of("a.boot.example", "2001:db8:b000:8::5");
    EXPECT_EQ(boot(elsewhere).status, 404U);
    EXPECT_EQ(stored().state, MachineState::kNew);
    EXPECT_TRUE(events_.has("machine.refused"));
    EXPECT_EQ(boot(peer_of("a.boot.example", "2001:db8:b000:107::9")).status, 200U);
    const std::string config = std::string("/v1/config/") + kUuid;
    EXPECT_EQ(get(config, elsewhere).status, 404U);
    EXPECT_EQ(get(config).status, 200U);
    flush();
    EXPECT_EQ(boots().boots, 2U);
}

TEST_F(ServiceTest, APortsPrefixIsWhatItsSwitchReports) {
    auto machine = node();
    machine.ports = {{"tor-a/swp7", Prefix6()}, {"tor-b/swp7", Prefix6()}};
    enrol(machine);
    const std::string config = std::string("/v1/config/") + kUuid;
    const auto behind_b = peer_of("a.boot.example", "2001:db8:b000:107::9");
    EXPECT_EQ(boot(behind_b).status, 404U) << "no switch has told";
    store.put({std::string(kReportedPortKind), "tor-b/swp7", R"({"prefix":"2001:db8:b000:107::/64"})"});
    store.put({std::string(kReportedPortKind), "tor-b/swp8", R"({"prefix":"2001:db8:b000:108::/64"})"});
    EXPECT_EQ(boot(behind_b).status, 200U);
    EXPECT_EQ(get(config, behind_b).status, 200U);
    const auto next_port = peer_of("a.boot.example", "2001:db8:b000:108::9");
    EXPECT_EQ(boot(next_port).status, 404U);
    EXPECT_EQ(get(config, next_port).status, 404U);
    EXPECT_EQ(get("/v1/artifacts/vmlinuz", next_port).status, 200U) << "no secret: the only set's";
    store.put({std::string(kReportedPortKind), "tor-b/swp7", R"({"prefix":"2001:db8:b000:207::/64"})"});
    EXPECT_EQ(boot(behind_b).status, 404U) << "the switch has numbered it anew";
    EXPECT_EQ(boot(peer_of("a.boot.example", "2001:db8:b000:207::9")).status, 200U);
}

TEST_F(ServiceTest, HandsOverTheConfigOnlyWhileTheMachineNetboots) {
    const std::string config = std::string("/v1/config/") + kUuid;
    for (const auto state : {MachineState::kNew, MachineState::kProvisioning, MachineState::kReprovision}) {
        enrol(node(state));
        const auto answer = get(config);
        EXPECT_EQ(answer.status, 200U) << to_string(state);
        EXPECT_EQ(answer.body, kConfig);
        EXPECT_EQ(answer.etag, sha256_hex(kConfig));
        EXPECT_EQ(answer.content_type, "application/yaml");
        EXPECT_TRUE(answer.no_store);
    }
    for (const auto state : {MachineState::kActive, MachineState::kMaintenance, MachineState::kDecommission}) {
        enrol(node(state));
        for (const auto* part : {"", "/extensions.yaml", "/config.sqsh"}) {
            EXPECT_EQ(get(config + part).status, 404U) << to_string(state) << part;
        }
    }
}

TEST_F(ServiceTest, EmbedsTheConfigAsAnExtension) {
    enrol(node());
    const std::string config = std::string("/v1/config/") + kUuid;
    const auto extensions = get(config + "/extensions.yaml");
    EXPECT_EQ(extensions.body,
              "layers:\n  - image: node-config.sqsh\n    metadata:\n      name: embedded-config\n      version: " +
                  sha256_hex(kConfig) + "\n");
    const auto image = get(config + "/config.sqsh");
    EXPECT_EQ(image.body, make_config_image(kConfig).value());
    EXPECT_EQ(image.etag, sha256_hex(image.body));
    Request again{Method::kGet, config + "/config.sqsh"};
    again.if_none_match = "\"" + image.etag + "\"";
    const auto unchanged = ask(again, peer_of("a.boot.example"));
    EXPECT_EQ(unchanged.status, 304U);
    EXPECT_TRUE(unchanged.body.empty());
}

TEST_F(ServiceTest, ServesTheUrlDeliveryWithoutTheEmbeddedParts) {
    auto machine = node();
    machine.delivery = ConfigDelivery::kUrl;
    enrol(machine);
    EXPECT_NE(boot().body.find("talos.config=https://[2001:db8:ffff::1]/v1/config/"), std::string::npos);
    const std::string config = std::string("/v1/config/") + kUuid;
    EXPECT_EQ(get(config).status, 200U);
    EXPECT_EQ(get(config + "/config.sqsh").status, 404U);
}

TEST_F(ServiceTest, AConfigThatLostItsDigestIsNotServed) {
    auto machine = node();
    machine.config_sha256 = sha256_hex("another");
    enrol(machine);
    EXPECT_EQ(get(std::string("/v1/config/") + kUuid).status, 500U);
    EXPECT_TRUE(events_.has("metadata.error"));
    machine = node();
    enrol(machine);
    store.put(put_of(MachineConfig{"node-1", PlainBox().seal(kConfig, "machine/node-2/config").value(),
                                   machine.config_sha256, machine.config_size}));
    EXPECT_EQ(get(std::string("/v1/config/") + kUuid).status, 500U);
}

// What cannot be finished is not begun: state and wipe stay as they are.
TEST_F(ServiceTest, RefusesABootThatCannotSucceed) {
    std::vector<Machine> broken(5, node(MachineState::kReprovision));
    broken[0].delivery = ConfigDelivery::kToken;  // and no token listener
    broken[1].artifact_set = "absent";
    broken[2].config_sha256.clear();
    broken[3].kernel_args = "a\nshell";
    broken[4].artifact_set.clear();
    for (auto& machine : broken) {
        machine.wipe_pending = true;
        enrol(machine);
        EXPECT_EQ(boot().status, 404U);
        EXPECT_TRUE(stored().wipe_pending);
        EXPECT_EQ(stored().state, MachineState::kReprovision);
        clock_.advance(LogLimiter::kInterval);
    }
    flush();
    EXPECT_EQ(boots().last_boot.outcome, "refused");
    EXPECT_EQ(std::count_if(events_.events.begin(), events_.events.end(),
                            [](const auto& one) { return one.type == "machine.refused"; }),
              5);
}

TEST_F(ServiceTest, RefusesABootWhoseFilesAreNotHere) {
    enrol(node());
    std::filesystem::remove(directory_ + "/sha256/" + sha256_hex("initramfs bytes"));
    EXPECT_EQ(boot().status, 404U);
    EXPECT_EQ(stored().state, MachineState::kNew);
}

TEST_F(ServiceTest, MaintenanceBootsTheRescueSetWithoutAConfig) {
    enrol(node(MachineState::kMaintenance));
    EXPECT_NE(boot().body.find("/v1/artifacts/talos/vmlinuz"), std::string::npos);
    EXPECT_EQ(boot().body.find("/v1/config/"), std::string::npos);
    ArtifactSet rescue;
    rescue.name = "rescue";
    rescue.kernel = "k";
    rescue.initramfs = "i";
    rescue.files = {add_file("k", "rescue kernel"), add_file("i", "rescue initramfs")};
    store.put(put_of(rescue));
    settings_.rescue_set = "rescue";
    service_.set_settings(settings_);
    EXPECT_NE(boot().body.find("/v1/artifacts/rescue/k"), std::string::npos);
    EXPECT_EQ(stored().state, MachineState::kMaintenance);
}

TEST_F(ServiceTest, DecommissionNeedsAnEraseSet) {
    enrol(node(MachineState::kDecommission));
    EXPECT_EQ(boot().status, 404U);
    settings_.erase_set = "talos";
    service_.set_settings(settings_);
    const auto answer = boot();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body.find("/v1/config/"), std::string::npos);
}

TEST_F(ServiceTest, ServesArtifactsBySetAndByTheConversation) {
    enrol(node());
    const auto full = get("/v1/artifacts/talos/vmlinuz");
    EXPECT_EQ(full.status, 200U);
    EXPECT_EQ(full.etag, sha256_hex("kernel bytes"));
    EXPECT_EQ(full.content_length(), 12U);
    EXPECT_EQ(get("/v1/artifacts/vmlinuz").status, 200U);  // the only set
    ArtifactSet other;
    other.name = "other";
    other.files = {add_file("vmlinuz", "other kernel")};
    store.put(put_of(other));
    EXPECT_EQ(get("/v1/artifacts/vmlinuz").status, 404U);  // which?
    boot();
    EXPECT_EQ(get("/v1/artifacts/vmlinuz").etag, sha256_hex("kernel bytes"));
    EXPECT_EQ(get("/v1/artifacts/talos/absent").status, 404U);
    EXPECT_EQ(get("/v1/artifacts/absent/vmlinuz").status, 404U);
}

TEST_F(ServiceTest, ServesRangesOfArtifacts) {
    Request request{Method::kGet, "/v1/artifacts/talos/vmlinuz"};
    const auto peer = peer_of("a.boot.example");
    request.range = "bytes=7-";
    const auto part = ask(request, peer);
    EXPECT_EQ(part.status, 206U);
    EXPECT_EQ(part.window, (ByteRange{7, 5}));
    request.if_range = "\"stale\"";
    EXPECT_EQ(ask(request, peer).status, 200U);
    request.if_range = "\"" + sha256_hex("kernel bytes") + "\"";
    EXPECT_EQ(ask(request, peer).status, 206U);
    request.range = "bytes=12-";
    const auto beyond = ask(request, peer);
    EXPECT_EQ(beyond.status, 416U);
    EXPECT_NE(bytes_of(beyond).find("Content-Range: bytes */12\r\n"), std::string::npos);
    request.if_none_match = "*";
    EXPECT_EQ(ask(request, peer).status, 304U);
}

TEST_F(ServiceTest, ATruncatedArtifactIsNotServed) {
    std::filesystem::resize_file(directory_ + "/sha256/" + sha256_hex("kernel bytes"), 3);
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz").status, 500U);
    EXPECT_EQ(artifacts_.missing().lost.size(), 1U);
}

TEST_F(ServiceTest, AFlippedByteIsNotServedUntilItIsImportedAgain) {
    enrol(node());
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz").status, 200U);
    const std::string path = directory_ + "/sha256/" + sha256_hex("kernel bytes");
    overwrite(path, "kernel bytez");
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz").status, 500U);
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz").status, 500U);
    EXPECT_EQ(boot().status, 404U);  // the disk rather than an installer that might do anything
    EXPECT_EQ(stored().state, MachineState::kNew);
    ASSERT_EQ(artifacts_.missing().lost.size(), 1U);
    EXPECT_EQ(artifacts_.missing().lost.front(), "talos/vmlinuz: its bytes have SHA-256 " + sha256_hex("kernel bytez") +
                                                     "; import the artifact set again");
    EXPECT_EQ(events_.count("artifact.corrupt"), 1);
    add_file("vmlinuz", "kernel bytes");
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz").status, 200U);
    EXPECT_EQ(events_.count("artifact.restored"), 1);
    EXPECT_TRUE(artifacts_.missing().lost.empty());
    EXPECT_EQ(boot().status, 200U);
}

TEST_F(ServiceTest, AFileThatAnotherServerHasIsServedFromThereAndNoReasonToRefuseABoot) {
    enrol(node());
    const auto digest = sha256_hex("kernel bytes");
    std::filesystem::remove(directory_ + "/sha256/" + digest);
    ASSERT_EQ(artifacts_.missing().lost.size(), 1U);
    peers_.files[digest] = std::make_shared<FakeArriving>("kernel bytes", 5);
    EXPECT_TRUE(artifacts_.missing().lost.empty());
    EXPECT_EQ(artifacts_.missing().arriving.size(), 1U);
    EXPECT_EQ(boot().status, 200U);
    const auto response = get("/v1/artifacts/talos/vmlinuz");
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.etag, digest);
    EXPECT_EQ(response.file_size, 12U);
    ASSERT_NE(response.file, nullptr);
    EXPECT_NE(response.file->arriving(), nullptr);
    add_file("vmlinuz", "kernel bytes");
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz").file->arriving(), nullptr);
}

TEST_F(ServiceTest, AFileThatNobodySendsIsNoAnswerBegun) {
    const auto digest = sha256_hex("kernel bytes");
    std::filesystem::remove(directory_ + "/sha256/" + digest);
    peers_.files[digest] = std::make_shared<FakeArriving>("kernel bytes", 5, 0);
    EXPECT_GE(get("/v1/artifacts/talos/vmlinuz").status, 500U);
}

TEST_F(ServiceTest, ADamagedFileIsFetchedAnewFromAnotherServer) {
    const auto digest = sha256_hex("kernel bytes");
    EXPECT_EQ(get("/v1/artifacts/talos/vmlinuz").status, 200U);
    peers_.files[digest] = std::make_shared<FakeArriving>("kernel bytes", 5);
    overwrite(directory_ + "/sha256/" + digest, "kernel bytez");
    EXPECT_NE(get("/v1/artifacts/talos/vmlinuz").file->arriving(), nullptr);
    EXPECT_FALSE(peers_.fetched.empty());
    EXPECT_EQ(events_.count("artifact.corrupt"), 1);
}

TEST_F(ServiceTest, ServesByVersionArchitectureAndSchematic) {
    ArtifactSet set;
    set.name = "factory";
    set.version = "v1.13.9";
    set.architecture = "amd64";
    set.schematic = "376567988ad3";
    set.kernel = "kernel-amd64";
    set.initramfs = "initramfs-amd64.xz";
    set.files = {add_file("kernel-amd64", "factory kernel"), add_file("initramfs-amd64.xz", "factory initramfs")};
    store.put(put_of(set));
    const std::string base = "/v1/artifacts/v1.13.9/amd64/376567988ad3/";
    EXPECT_EQ(get(base + "kernel-amd64").etag, sha256_hex("factory kernel"));
    EXPECT_EQ(get(base + "vmlinuz").etag, sha256_hex("factory kernel"));
    EXPECT_EQ(get("/v1/artifacts/factory/initramfs.xz").etag, sha256_hex("factory initramfs"));
    EXPECT_EQ(get("/v1/artifacts/v1.13.9/amd64/vmlinuz").status, 404U);  // that is the release without extensions
    set.name = "release";
    set.schematic.clear();
    store.put(put_of(set));
    EXPECT_EQ(get("/v1/artifacts/v1.13.9/amd64/vmlinuz").status, 200U);
    set.name = "release-serial";  // the same files with another command line
    store.put(put_of(set));
    EXPECT_EQ(get("/v1/artifacts/v1.13.9/amd64/vmlinuz").status, 200U);
    set.files[0] = add_file("kernel-amd64", "another kernel");
    store.put(put_of(set));
    EXPECT_EQ(get("/v1/artifacts/v1.13.9/amd64/vmlinuz").status, 404U);
}

TEST_F(ServiceTest, FlatNamesAreOfTheMachineThatAsks) {
    enrol(node());
    ArtifactSet other;
    other.name = "other";
    other.files = {add_file("vmlinuz", "other kernel")};
    store.put(put_of(other));
    conversation_ = {};
    EXPECT_EQ(get("/v1/artifacts/vmlinuz").status, 404U);
    EXPECT_EQ(get("/v1/artifacts/vmlinuz?uuid=" + std::string(kUuid)).etag, sha256_hex("kernel bytes"));
    EXPECT_EQ(get("/v1/artifacts/vmlinuz?uuid=" + std::string(kUuid), peer_of("b.boot.example")).status, 404U);
    boot();
    conversation_ = {};  // another connection from the same address
    EXPECT_EQ(get("/v1/artifacts/vmlinuz").etag, sha256_hex("kernel bytes"));
    EXPECT_EQ(get("/v1/artifacts/vmlinuz", peer_of("a.boot.example", "2001:db8:b000:7::6")).status, 404U);
    EXPECT_EQ(get("/v1/artifacts/vmlinuz", peer_of("b.boot.example")).status, 404U);
    clock_.advance(kRecentBootAge + std::chrono::seconds(1));
    EXPECT_EQ(get("/v1/artifacts/vmlinuz").status, 404U);
}

TEST_F(ServiceTest, FindsAMachineWhoseUuidIsInTheOtherByteOrder) {
    enrol(node());
    EXPECT_EQ(swapped_uuid(kUuid), "44454c4c-4200-1035-8051-b7c04f4d3432");
    EXPECT_EQ(swapped_uuid(swapped_uuid(kUuid)), kUuid);
    EXPECT_EQ(get("/v1/boot/44454c4c-4200-1035-8051-b7c04f4d3432").status, 200U);
}

TEST_F(ServiceTest, AnswersOtherMethodsAndPathsDefinitely) {
    EXPECT_EQ(ask({Method::kOther, "/v1/boot/x"}, peer_of("a.boot.example")).status, 405U);
    EXPECT_EQ(get("/v1/artifacts/../x").status, 400U);
    EXPECT_EQ(get("/v1/other/x").status, 404U);
    store.read_fault = Error{Code::kDataLoss, "disk I/O error", {}};
    EXPECT_EQ(boot().status, 500U);
    store.read_fault.reset();
}

TEST_F(ServiceTest, RecordsUnknownMachinesForTheOperator) {
    get("/v1/boot/11111111-2222-3333-4444-555555555555");
    get("/v1/boot/11111111-2222-3333-4444-555555555555");
    get("/v1/boot/aa-bb-cc-dd-ee-ff");
    get("/v1/boot/00000000-0000-0000-0000-000000000000");  // no id at all
    flush();
    auto records = store.list(kUnknownMachineKind).value();
    ASSERT_EQ(records.size(), 2U);
    const auto machine = decode<UnknownMachine>(records[0].value).value();
    EXPECT_EQ(machine.id, "11111111-2222-3333-4444-555555555555");
    EXPECT_EQ(machine.tenant, "tenant-a");
    EXPECT_EQ(machine.source, "2001:db8:b000:7::5");
    EXPECT_EQ(machine.requests, 2U);
    get("/v1/boot/11111111-2222-3333-4444-555555555555");
    flush();
    records = store.list(kUnknownMachineKind).value();
    EXPECT_EQ(decode<UnknownMachine>(records[0].value)->requests, 3U);
}

TEST_F(ServiceTest, BoundsUnknownMachinesPerTenant) {
    get("/v1/boot/aa-00-00-00-00-00", peer_of("b.boot.example"));
    flush();
    for (std::size_t i = 0; i < kMaxUnknownPerTenant + 20; ++i) {
        clock_.advance(std::chrono::seconds(1));
        get(fmt::format("/v1/boot/bb-00-00-00-{:02x}-{:02x}", i / 256, i % 256));
        if (i % 100 == 99) flush();
    }
    flush();
    const auto records = store.list(kUnknownMachineKind).value();
    EXPECT_EQ(records.size(), kMaxUnknownPerTenant + 1);
    EXPECT_EQ(records.front().key, "tenant-a/bb:00:00:00:00:14");  // the 20 oldest went
    EXPECT_EQ(records.back().key, "tenant-b/aa:00:00:00:00:00");
}

}  // namespace
}  // namespace nett::metadata::test
