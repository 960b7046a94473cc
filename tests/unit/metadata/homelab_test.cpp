#include "plugins/metadata/homelab.hpp"

#include <gtest/gtest.h>

#include "plugins/metadata/homelab_boot.hpp"
#include "tests/unit/metadata/service_fixture.hpp"

namespace nett::metadata::test {
namespace {

using Kind = HomelabRoute::Kind;
constexpr const char* kMacInUrl = "52-54-00-12-34-56";

TEST(HomelabTarget, IsTheGuidesLayout) {
    EXPECT_EQ(parse_homelab_target("/talos/talos.ipxe")->kind, Kind::kScript);
    EXPECT_EQ(parse_homelab_target("/talos/talos.ipxe?mac=52:54:00:12:34:56")->kind, Kind::kBoot);
    const auto boot = parse_homelab_target("/talos/boot/52-54-00-12-34-56").value();
    EXPECT_EQ(boot.kind, Kind::kBoot);
    EXPECT_EQ(boot.mac, kMac);
    const auto config = parse_homelab_target("/talos/machine-config/52-54-00-12-34-56").value();
    EXPECT_EQ(config.kind, Kind::kConfig);
    EXPECT_EQ(config.mac, kMac);
    const auto kernel = parse_homelab_target("/talos/vmlinuz-amd64?set=talos-1.13").value();
    EXPECT_EQ(kernel.kind, Kind::kKernel);
    EXPECT_EQ(kernel.architecture, "amd64");
    EXPECT_EQ(kernel.set, "talos-1.13");
    const auto initramfs = parse_homelab_target("/talos/initramfs-arm64.xz").value();
    EXPECT_EQ(initramfs.kind, Kind::kInitramfs);
    EXPECT_EQ(initramfs.architecture, "arm64");
    EXPECT_EQ(initramfs.set, "");
}

TEST(HomelabTarget, NothingElseIsThere) {
    for (const auto* target :
         {"/", "/talos", "/talos/", "/talos/talos.ipxe/x", "/talos/boot/", "/talos/boot/x", "/talos/vmlinuz-riscv",
          "/talos/vmlinuz-", "/talos/initramfs-amd64", "/talos/machine-config/../boot", "/talos/machine-config",
          "/v1/config/52-54-00-12-34-56", "/talos/vmlinuz-amd64?set=../x", "/talos/talos.ipxe?mac=x",
          "talos/talos.ipxe", "/talos/boot/4c4c4544-0042-3510-8051-b7c04f4d3432", "/talos/boot/%2e%2e"}) {
        EXPECT_FALSE(parse_homelab_target(target)) << target;
    }
}

TEST(HomelabEndpoint, IsIpv4OrIpv6) {
    EXPECT_EQ(homelab_authority(parse_homelab_endpoint("192.168.0.66:8080").value()), "192.168.0.66:8080");
    EXPECT_TRUE(parse_homelab_endpoint("192.168.0.66:8080")->address().to_v6().is_v4_mapped());
    EXPECT_EQ(homelab_authority(parse_homelab_endpoint("[fd00::1]:80").value()), "[fd00::1]");
    for (const auto* text : {"192.168.0.66", "8080", "home:8080", "192.168.0.66:0", "fd00::1:80", ":80", ""}) {
        EXPECT_FALSE(parse_homelab_endpoint(text)) << text;
    }
}

TEST(HomelabEndpoint, KnowsWhatOthersCanReach) {
    const auto global = [](const char* text) { return is_global(parse_homelab_endpoint(text)->address().to_v6()); };
    for (const auto* text : {"10.1.2.3:80", "172.31.0.1:80", "192.168.0.66:80", "127.0.0.1:80", "169.254.0.1:80",
                             "100.64.0.1:80", "[fd00::1]:80", "[fe80::1]:80", "[::1]:80"}) {
        EXPECT_FALSE(global(text)) << text;
    }
    for (const auto* text : {"8.8.8.8:80", "172.32.0.1:80", "192.169.0.1:80", "0.0.0.0:80", "[::]:80",
                             "[2001:db8::1]:80", "100.128.0.1:80"}) {
        EXPECT_TRUE(global(text)) << text;
    }
}

class HomelabTest : public ServiceTest {
protected:
    HomelabTest() {
        auto set = decode<ArtifactSet>(store.get(kArtifactSetKind, "talos").value()->value).value();
        set.architecture = "amd64";
        set.command_line = "console=ttyS0";
        store.put(put_of(set));
        homelab_.set_settings({{}, "tenant-a"});
    }

    Response ask_home(const std::string& target, Method method = Method::kGet) {
        Peer peer;
        peer.source = boost::asio::ip::make_address_v6("::ffff:192.168.0.7");
        peer.local = parse_homelab_endpoint("192.168.0.66:8080").value();
        Request request;
        request.method = method;
        request.target = target;
        return run(context_, homelab_.handle(std::move(request), peer, conversation_));
    }
    Response boot_home() { return ask_home(std::string("/talos/boot/") + kMacInUrl); }
    Response config_home() { return ask_home(std::string("/talos/machine-config/") + kMacInUrl); }

    HomelabService homelab_{store, [this](Request request, const Peer& peer, Conversation& conversation) {
                                return service_.handle(std::move(request), peer, conversation);
                            }};
};

TEST_F(HomelabTest, TheScriptOfAllMachinesAsksForTheDecisionByItsMac) {
    const auto response = ask_home("/talos/talos.ipxe");
    EXPECT_EQ(response.status, 200U);
    EXPECT_TRUE(response.body.starts_with("#!ipxe\n"));
    EXPECT_NE(response.body.find("http://192.168.0.66:8080/talos/boot/${netX/mac:hexhyp} "), std::string::npos);
}

TEST_F(HomelabTest, AMachineThatNetbootsGetsTheGuidesScript) {
    enrol(node(MachineState::kProvisioning));
    const auto response = boot_home();
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body,
              "#!ipxe\n"
              "imgfree\n"
              "kernel --timeout 15000 http://192.168.0.66:8080/talos/vmlinuz-amd64?set=talos initrd=initramfs-amd64.xz "
              "talos.platform=metal slab_nomerge pti=on console=ttyS0 "
              "talos.config=http://192.168.0.66:8080/talos/machine-config/52-54-00-12-34-56\n"
              "initrd --timeout 15000 http://192.168.0.66:8080/talos/initramfs-amd64.xz?set=talos\n"
              "boot\n");
}

TEST_F(HomelabTest, TheDecisionsAreThoseOfTheMachinesOwnListener) {
    EXPECT_EQ(boot_home().status, 404U);
    enrol(node());
    EXPECT_EQ(boot_home().status, 200U);
    EXPECT_EQ(stored().state, MachineState::kProvisioning);
    auto machine = stored();
    machine.state = MachineState::kActive;
    enrol(machine);
    EXPECT_EQ(boot_home().status, 404U);
    EXPECT_EQ(config_home().status, 404U);
    machine.state = MachineState::kReprovision;
    machine.wipe_pending = true;
    enrol(machine);
    EXPECT_NE(boot_home().body.find("talos.experimental.wipe"), std::string::npos);
    EXPECT_EQ(boot_home().body.find("talos.experimental.wipe"), std::string::npos);  // once
}

TEST_F(HomelabTest, TheConfigIsServedAsRegisteredWhileTheMachineNetboots) {
    enrol(node(MachineState::kProvisioning));
    const auto response = config_home();
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body, kConfig);
}

TEST_F(HomelabTest, FilesAreThoseOfTheNamedOrTheOnlySet) {
    for (const auto* target : {"/talos/vmlinuz-amd64", "/talos/vmlinuz-amd64?set=talos", "/talos/initramfs-amd64.xz"}) {
        const auto response = ask_home(target);
        EXPECT_EQ(response.status, 200U) << target;
        EXPECT_TRUE(response.file) << target;
    }
    EXPECT_EQ(ask_home("/talos/vmlinuz-arm64").status, 404U);
    EXPECT_EQ(ask_home("/talos/vmlinuz-arm64?set=talos").status, 404U);
    EXPECT_EQ(ask_home("/talos/vmlinuz-amd64?set=other").status, 404U);
}

TEST_F(HomelabTest, OnlyTheListenersTenantBoots) {
    enrol(node(MachineState::kProvisioning));
    homelab_.set_settings({{}, "tenant-b"});
    EXPECT_EQ(boot_home().status, 404U);
    EXPECT_EQ(config_home().status, 404U);
}

TEST_F(HomelabTest, NoOtherUrlOfTheServiceIsThere) {
    enrol(node(MachineState::kProvisioning));
    for (const auto* target : {"/v1/boot/52-54-00-12-34-56", "/v1/config/52-54-00-12-34-56", "/v1/artifacts/vmlinuz"}) {
        EXPECT_EQ(ask_home(target).status, 404U) << target;
    }
    EXPECT_EQ(ask_home("/talos/talos.ipxe", Method::kOther).status, 405U);
}

TEST_F(HomelabTest, AProfilesTemplateGetsTheHomelabsUrls) {
    BootScriptInput input;
    input.machine_id = kMacInUrl;
    input.set.name = "s";
    input.set.architecture = "amd64";
    input.profile_args = "quiet";
    input.facts["machine"] = "node-1";
    input.text =
        "#!ipxe\necho {{{machine}}}\nkernel {{{artifacts}}}/{{{kernel}}} {{{arguments}}}\n{{#url}}boot{{/url}}\n";
    const auto script = render_homelab_boot(input, {"tenant-a", "192.168.0.66:8080"}).value();
    EXPECT_EQ(
        script,
        "#!ipxe\necho node-1\n"
        "kernel http://192.168.0.66:8080/talos/vmlinuz-amd64?set=s initrd=initramfs-amd64.xz talos.platform=metal "
        "slab_nomerge pti=on quiet talos.config=http://192.168.0.66:8080/talos/machine-config/52-54-00-12-34-56\n"
        "boot\n");
}

TEST_F(HomelabTest, ASetOfAnotherArchitectureIsRefused) {
    BootScriptInput input;
    input.machine_id = kMacInUrl;
    input.set.name = "s";
    input.set.architecture = "riscv64";
    EXPECT_FALSE(render_homelab_boot(input, {"tenant-a", "192.168.0.66:8080"}));
}

}  // namespace
}  // namespace nett::metadata::test
