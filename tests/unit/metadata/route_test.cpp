#include "plugins/metadata/route.hpp"

#include <string>

#include <gtest/gtest.h>

namespace nett::metadata {
namespace {

constexpr const char* kUuid = "4c4c4544-0042-3510-8051-b7c04f4d3432";
constexpr const char* kMac = "52:54:00:12:34:56";

template <typename T>
T route_of(std::string_view target) {
    auto route = parse_target(target);
    EXPECT_TRUE(route) << target << ": " << route.error().to_string();
    return route && std::holds_alternative<T>(*route) ? std::get<T>(*route) : T{};
}

Code code_of(std::string_view target) {
    const auto route = parse_target(target);
    EXPECT_FALSE(route) << target;
    return route ? Code::kInternal : route.error().code;
}

TEST(Route, TakesUuidsAndMacsInEveryUsualSpelling) {
    EXPECT_EQ(route_of<BootRoute>("/v1/boot/4c4c4544-0042-3510-8051-b7c04f4d3432").asked.id.uuid, kUuid);
    EXPECT_EQ(route_of<BootRoute>("/v1/boot/4C4C4544-0042-3510-8051-B7C04F4D3432").asked.id.uuid, kUuid);
    for (const auto* mac :
         {"52:54:00:12:34:56", "52-54-00-12-34-56", "525400123456", "52%3a54%3A00:12:34:56", "5254.0012.3456"}) {
        EXPECT_EQ(route_of<BootRoute>(std::string("/v1/boot/") + mac).asked.id.mac, kMac) << mac;
    }
}

TEST(Route, FallsThroughToTheMacOfTheQuery) {
    const auto zero =
        route_of<BootRoute>("/v1/boot/00000000-0000-0000-0000-000000000000?mac=52%3A54%3A00%3A12%3A34%3A56");
    EXPECT_FALSE(zero.asked.id.uuid);
    EXPECT_EQ(zero.asked.id.mac, kMac);
    const auto both = route_of<BootRoute>(std::string("/v1/boot/") + kUuid + "?x=1&mac=52-54-00-12-34-56");
    EXPECT_EQ(both.asked.id.uuid, kUuid);
    EXPECT_EQ(both.asked.id.mac, kMac);
    EXPECT_FALSE(route_of<BootRoute>(std::string("/v1/boot/") + kUuid + "?mac=").asked.id.mac);
    EXPECT_EQ(code_of(std::string("/v1/boot/") + kUuid + "?mac=zz"), Code::kInvalidArgument);
}

TEST(Route, TakesTheIdsOfAQueryAlone) {
    for (const auto* path : {"/v1/boot", "/v1/boot/"}) {
        const auto route =
            route_of<BootRoute>(std::string(path) + "?uuid=" + kUuid +
                                "&serial=CZ%2012-7&mac=52-54-00-12-34-56&hostname=x&mac=aa-bb-cc-dd-ee-ff");
        EXPECT_EQ(route.asked.id.uuid, kUuid);
        EXPECT_EQ(route.asked.id.mac, kMac);
        EXPECT_EQ(route.asked.serial, "CZ 12-7");
    }
    EXPECT_EQ(route_of<ConfigRoute>("/v1/config?serial=7").asked.serial, "7");
    EXPECT_TRUE(route_of<BootRoute>("/v1/boot?serial=a%0ab").asked.empty());
    EXPECT_TRUE(route_of<BootRoute>("/v1/boot?uuid=ffffffff-ffff-ffff-ffff-ffffffffffff").asked.empty());
    EXPECT_EQ(route_of<ConfigRoute>(std::string("/v1/config/") + kUuid + "?t=abc&t=d").token, "abc");
}

TEST(Route, KnowsTheConfigsParts) {
    const std::string base = std::string("/v1/config/") + kUuid;
    EXPECT_EQ(route_of<ConfigRoute>(base).part, ConfigPart::kYaml);
    EXPECT_EQ(route_of<ConfigRoute>(base + "/extensions.yaml").part, ConfigPart::kExtensions);
    EXPECT_EQ(route_of<ConfigRoute>(base + "/config.sqsh").part, ConfigPart::kSquashfs);
    EXPECT_EQ(code_of(base + "/other"), Code::kNotFound);
}

TEST(Route, KnowsArtifactsWithAndWithoutTheirSet) {
    const auto full = route_of<ArtifactRoute>("/v1/artifacts/talos-v1.13.9-amd64/vmlinuz");
    EXPECT_EQ(full.set, "talos-v1.13.9-amd64");
    EXPECT_EQ(full.file, "vmlinuz");
    const auto flat = route_of<ArtifactRoute>("/v1/artifacts/initramfs.xz");
    EXPECT_EQ(flat.set, "");
    EXPECT_EQ(flat.file, "initramfs.xz");
    const auto version = route_of<ArtifactRoute>("/v1/artifacts/v1.13.9/amd64/vmlinuz");
    EXPECT_EQ(version.set, "");
    EXPECT_EQ(version.version, "v1.13.9");
    EXPECT_EQ(version.architecture, "amd64");
    EXPECT_EQ(version.schematic, "");
    EXPECT_EQ(version.file, "vmlinuz");
    EXPECT_EQ(route_of<ArtifactRoute>("/v1/artifacts/v1.13.9/amd64/3f1c/vmlinuz").schematic, "3f1c");
    EXPECT_EQ(route_of<ArtifactRoute>("/v1/artifacts/vmlinuz?mac=525400123456").asked.id.mac, kMac);
}

TEST(Route, RefusesWhatNoClientOfOursSends) {
    for (const auto* target : {"",
                               "*",
                               "v1/boot/x",
                               "http://[2001:db8::1]/v1/boot/x",
                               "/v1/artifacts/../secret",
                               "/v1/artifacts/%2e%2e/secret",
                               "/v1/artifacts/a%2fb",
                               "/v1/artifacts/a%5cb",
                               "/v1/artifacts/a%00b",
                               "/v1/artifacts/a%0d%0ab",
                               "/v1/artifacts/a b",
                               "/v1//artifacts/a",
                               "/v1/artifacts/.hidden",
                               "/v1/artifacts/a%",
                               "/v1/artifacts/a%zz",
                               "/v1/artifacts/\xff",
                               "/v1/boot/not-an-id",
                               "/v1/boot",
                               "/v1/boot/",
                               "/v1/boot?x=1",
                               "/v1/config?t=x"}) {
        EXPECT_EQ(code_of(target), Code::kInvalidArgument) << target;
    }
    EXPECT_EQ(code_of("/v1/artifacts/" + std::string(129, 'a')), Code::kInvalidArgument);
    for (const auto* target : {"/v1", "/v2/boot/x", "/v1/boot/a/b", "/v1/other/x", "/v1/artifacts/a/b/c/d/e",
                               "/v1/artifacts/", "/v1/artifacts", "/a/b/c/d/e/f"}) {
        EXPECT_EQ(code_of(target), Code::kNotFound) << target;
    }
}

}  // namespace
}  // namespace nett::metadata
