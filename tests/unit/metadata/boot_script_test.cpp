#include "plugins/metadata/boot_script.hpp"

#include <string>

#include <gtest/gtest.h>

namespace nett::metadata {
namespace {

constexpr const char* kUuid = "4c4c4544-0042-3510-8051-b7c04f4d3432";

BootScriptInput input() {
    BootScriptInput value;
    value.authority = "[2001:db8:ffff::1]";
    value.machine_id = kUuid;
    value.set.name = "talos-v1.13.9-amd64";
    value.set.kernel = "vmlinuz";
    value.set.initramfs = "initramfs.xz";
    value.set.command_line = "init_on_alloc=1 console=ttyS0,115200n8";
    value.kernel_args = "net.ifnames=0";
    return value;
}

std::string script(const BootScriptInput& value) {
    auto text = render_boot_script(value);
    EXPECT_TRUE(text) << text.error().to_string();
    return text ? *text : "";
}

TEST(BootScript, IsTheseBytesForAnInstallation) {
    EXPECT_EQ(
        script(input()),
        "#!ipxe\n"
        "imgfree\n"
        "kernel --timeout 15000 https://[2001:db8:ffff::1]/v1/artifacts/talos-v1.13.9-amd64/vmlinuz "
        "talos.platform=metal slab_nomerge pti=on init_on_alloc=1 console=ttyS0,115200n8 net.ifnames=0\n"
        "initrd --timeout 15000 https://[2001:db8:ffff::1]/v1/artifacts/talos-v1.13.9-amd64/initramfs.xz\n"
        "initrd --timeout 15000 "
        "https://[2001:db8:ffff::1]/v1/config/4c4c4544-0042-3510-8051-b7c04f4d3432/extensions.yaml "
        "/extensions.yaml mode=0400\n"
        "initrd --timeout 15000 https://[2001:db8:ffff::1]/v1/config/4c4c4544-0042-3510-8051-b7c04f4d3432/config.sqsh "
        "/node-config.sqsh mode=0400\n"
        "boot\n");
}

TEST(BootScript, PutsTheConfigsUrlOnTheCommandLineForDeliveryUrl) {
    auto value = input();
    value.delivery = ConfigDelivery::kUrl;
    value.authority = "[2001:db8:ffff::1]:8443";
    EXPECT_EQ(script(value),
              "#!ipxe\n"
              "imgfree\n"
              "kernel --timeout 15000 https://[2001:db8:ffff::1]:8443/v1/artifacts/talos-v1.13.9-amd64/vmlinuz "
              "talos.platform=metal slab_nomerge pti=on init_on_alloc=1 console=ttyS0,115200n8 net.ifnames=0 "
              "talos.config=https://[2001:db8:ffff::1]:8443/v1/config/4c4c4544-0042-3510-8051-b7c04f4d3432\n"
              "initrd --timeout 15000 https://[2001:db8:ffff::1]:8443/v1/artifacts/talos-v1.13.9-amd64/initramfs.xz\n"
              "boot\n");
}

TEST(BootScript, WipesOnlyWhenAskedTo) {
    auto value = input();
    EXPECT_EQ(script(value).find("wipe"), std::string::npos);
    value.kind = BootKind::kWipe;
    EXPECT_NE(script(value).find(" net.ifnames=0 talos.experimental.wipe=system\n"), std::string::npos);
}

TEST(BootScript, GivesNoConfigToRescueAndEraseBoots) {
    for (const auto kind : {BootKind::kRescue, BootKind::kErase}) {
        auto value = input();
        value.kind = kind;
        EXPECT_EQ(script(value).find("/v1/config/"), std::string::npos);
        value.delivery = ConfigDelivery::kUrl;
        EXPECT_EQ(script(value).find("/v1/config/"), std::string::npos);
    }
}

TEST(BootScript, LeavesTheSetsOwnDefaultsAlone) {
    auto value = input();
    value.set.command_line = "pti=off  slab_nomerge";
    value.kernel_args = "";
    EXPECT_EQ(kernel_command_line(value).value(), "talos.platform=metal pti=off slab_nomerge");
}

TEST(BootScript, PutsTheTokenAndOurRootOnTheCommandLineForDeliveryToken) {
    auto value = input();
    value.delivery = ConfigDelivery::kToken;
    value.token_authority = "[2001:db8:ffff::1]:8444";
    value.token = "0123abcd";
    value.early = "KLUv/SQAAQAA==";
    const auto text = script(value);
    EXPECT_NE(text.find(" net.ifnames=0 talos.config=https://[2001:db8:ffff::1]:8444/v1/config/"
                        "4c4c4544-0042-3510-8051-b7c04f4d3432?t=0123abcd talos.config.early=KLUv/SQAAQAA==\n"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("/extensions.yaml"), std::string::npos);
    value.kind = BootKind::kRescue;
    EXPECT_EQ(script(value).find("0123abcd"), std::string::npos);
}

TEST(BootScript, OrdersArgumentsFromTheGeneralToTheParticular) {
    auto value = input();
    value.set.command_line = "a=set console=ttyS0";
    value.profile_args = "a=profile pti=auto";
    value.kernel_args = "a=machine";
    EXPECT_EQ(kernel_command_line(value).value(),
              "talos.platform=metal slab_nomerge a=set console=ttyS0 a=profile pti=auto a=machine");
    value.profile_args = "a\nb";
    EXPECT_TRUE(kernel_command_line(value).error().message.starts_with("the profile's kernel arguments: "));
}

TEST(BootScript, IsAProfilesTemplateWithTheMachinesFacts) {
    auto value = input();
    value.text =
        "#!ipxe\nkernel {{artifacts}}/{{kernel}} {{{arguments}}}{{#prefix}} x.prefix={{prefix}}{{/prefix}}\n"
        "{{#embedded}}echo {{config}} {{serial}}\n{{/embedded}}boot\n";
    value.facts = {{"prefix", "2001:db8:17:1::/64"}, {"serial", "CZ123"}};
    EXPECT_EQ(script(value),
              "#!ipxe\nkernel https://[2001:db8:ffff::1]/v1/artifacts/talos-v1.13.9-amd64/vmlinuz "
              "talos.platform=metal slab_nomerge pti=on init_on_alloc=1 console=ttyS0,115200n8 net.ifnames=0 "
              "x.prefix=2001:db8:17:1::/64\n"
              "echo https://[2001:db8:ffff::1]/v1/config/4c4c4544-0042-3510-8051-b7c04f4d3432 CZ123\nboot\n");
    value.facts["serial"] = "CZ 123";
    EXPECT_EQ(render_boot_script(value).error().code, Code::kInvalidArgument);
    value.delivery = ConfigDelivery::kUrl;  // the section that uses it is out, and yet: it is in the template
    EXPECT_EQ(render_boot_script(value).error().code, Code::kInvalidArgument);
}

TEST(BootScript, RefusesEveryInjection) {
    for (const auto* text : {"a\nshell",
                             "a\rb",
                             "${uuid}",
                             "$x",
                             "a;b",
                             "a||b",
                             "a&&b",
                             "#a",
                             "a\"b",
                             "a'b",
                             "a\\b",
                             "a`b`",
                             "a\tb",
                             "{{{config}}}",
                             "a<b",
                             "a|b",
                             "--",
                             "-x",
                             "talos.config=https://[2001:db8::bad]/",
                             "talos.platform=aws",
                             "talos.experimental.wipe=system",
                             "initrd=x",
                             "\xc3\xa9"}) {
        auto machine = input();
        machine.kernel_args = text;
        EXPECT_FALSE(render_boot_script(machine)) << text;
        auto set = input();
        set.set.command_line = text;
        EXPECT_FALSE(render_boot_script(set)) << text;
    }
    auto nul = input();
    nul.kernel_args = std::string("a\0b", 3);
    EXPECT_FALSE(render_boot_script(nul));
    for (const auto* name : {"", "a b", "a/b", "../x", "..", "a\n", "${x}", "a?b", "a#b", "{{{x}}}"}) {
        auto set = input();
        set.set.name = name;
        EXPECT_FALSE(render_boot_script(set)) << name;
        auto kernel = input();
        kernel.set.kernel = name;
        EXPECT_FALSE(render_boot_script(kernel)) << name;
        auto initramfs = input();
        initramfs.set.initramfs = name;
        EXPECT_FALSE(render_boot_script(initramfs)) << name;
    }
    auto id = input();
    id.machine_id = "x\nshell";
    EXPECT_FALSE(render_boot_script(id));
}

TEST(BootScript, RefusesALineThatNoKernelTakes) {
    auto value = input();
    value.kernel_args = std::string(2000, 'a');
    EXPECT_EQ(render_boot_script(value).error().code, Code::kInvalidArgument);
}

TEST(Extensions, ListsTheConfigAlone) {
    EXPECT_EQ(render_extensions({}, "abc").value(),
              "layers:\n"
              "  - image: node-config.sqsh\n"
              "    metadata:\n"
              "      name: embedded-config\n"
              "      version: abc\n");
}

TEST(Extensions, RepeatsTheLayersOfTheInitramfs) {
    ArtifactSet set;
    set.extension_layers = R"([{"image":"000.sqsh","metadata":{"name":"schematic","version":"x"}}])";
    EXPECT_EQ(render_extensions(set, "abc").value(),
              "layers:\n"
              "  - {\"image\":\"000.sqsh\",\"metadata\":{\"name\":\"schematic\",\"version\":\"x\"}}\n"
              "  - image: node-config.sqsh\n"
              "    metadata:\n"
              "      name: embedded-config\n"
              "      version: abc\n");
    for (const auto* broken : {"{", "{}", "[1]"}) {
        set.extension_layers = broken;
        EXPECT_EQ(render_extensions(set, "abc").error().code, Code::kDataLoss) << broken;
    }
}

}  // namespace
}  // namespace nett::metadata
