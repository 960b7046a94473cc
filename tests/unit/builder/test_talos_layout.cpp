#include <gtest/gtest.h>

#include <vector>

#include "builder/talos_layout.hpp"

namespace nett::builder {
namespace {

TEST(TalosLayout, AReleaseHasChecksumsAndNoCommandLine) {
    const auto layout = talos_layout("https://github.com/siderolabs/talos/releases/download/v1.13.9/", "amd64");
    ASSERT_TRUE(layout) << layout.error().to_string();
    EXPECT_EQ(layout->version, "v1.13.9");
    EXPECT_EQ(layout->schematic, "");
    EXPECT_EQ(layout->kernel, "https://github.com/siderolabs/talos/releases/download/v1.13.9/vmlinuz-amd64");
    EXPECT_EQ(layout->initramfs, "https://github.com/siderolabs/talos/releases/download/v1.13.9/initramfs-amd64.xz");
    EXPECT_EQ(layout->checksums, "https://github.com/siderolabs/talos/releases/download/v1.13.9/sha256sum.txt");
    EXPECT_EQ(layout->command_line, "");
}

TEST(TalosLayout, AnImageFactoryHasACommandLineAndNoChecksums) {
    const std::string schematic(64, 'a');
    const auto layout = talos_layout("https://factory.talos.dev/image/" + schematic + "/v1.13.9", "arm64");
    ASSERT_TRUE(layout) << layout.error().to_string();
    EXPECT_EQ(layout->version, "v1.13.9");
    EXPECT_EQ(layout->schematic, schematic);
    EXPECT_EQ(layout->kernel, "https://factory.talos.dev/image/" + schematic + "/v1.13.9/kernel-arm64");
    EXPECT_EQ(layout->initramfs, "https://factory.talos.dev/image/" + schematic + "/v1.13.9/initramfs-arm64.xz");
    EXPECT_EQ(layout->checksums, "");
    EXPECT_EQ(layout->command_line, "https://factory.talos.dev/image/" + schematic + "/v1.13.9/cmdline-metal-arm64");
}

TEST(TalosLayout, AnythingElseIsRefused) {
    for (const char* base : {"", "v1.13.9", "ftp://host/a/v1", "https://host", "https://host/"})
        EXPECT_FALSE(talos_layout(base, "amd64")) << base;
}

TEST(TalosLayout, ReadsWhatSha256sumWrites) {
    const std::string a(64, 'a'), b(64, 'b');
    const auto sums = parse_checksums(a + "  vmlinuz-amd64\n" + b + " *_out/initramfs-amd64.xz\n\n");
    ASSERT_TRUE(sums) << sums.error().to_string();
    EXPECT_EQ(*sums, (std::map<std::string, std::string>{{"vmlinuz-amd64", a}, {"initramfs-amd64.xz", b}}));
    for (const std::string& bad : std::vector<std::string>{"<html>", a, a + "  ", "abc  vmlinuz"})
        EXPECT_FALSE(parse_checksums(bad)) << bad;
}

TEST(TalosLayout, TheCommandLineLosesWhatTheBootScriptSets) {
    EXPECT_EQ(without_boot_arguments("talos.platform=metal console=tty0\n init_on_alloc=1 talos.config=http://x"),
              "console=tty0 init_on_alloc=1");
}

}  // namespace
}  // namespace nett::builder
