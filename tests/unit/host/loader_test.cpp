#include "agent/core/host/loader.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace nett {
namespace {

std::string plugin(const std::string& kind) {
    return std::string(std::getenv("NETT_TEST_PLUGINS")) + "/nett-broken-" + kind + ".so";
}

std::string refusal(const std::string& kind) {
    const auto loaded = load_plugin(plugin(kind));
    EXPECT_FALSE(loaded) << kind;
    if (loaded) return "";
    EXPECT_EQ(loaded.error().context, plugin(kind));
    return loaded.error().message;
}

TEST(Loader, LoadsAWholePlugin) {
    const auto loaded = load_plugin(plugin("nothing"));
    ASSERT_TRUE(loaded) << loaded.error().to_string();
    EXPECT_STREQ(loaded->descriptor->name, "broken");
}

TEST(Loader, EachWayOfRefusingHasItsOwnMessage) {
    EXPECT_EQ(refusal("symbol"), "exports no \"nett_plugin\": not a nett plugin");
    EXPECT_EQ(refusal("magic"), "its descriptor does not begin with nett's magic: not a nett plugin");
    EXPECT_EQ(refusal("abi"),
              "it has plugin ABI version 2, this nettd has 1: install the plugin package of this nettd's version");
    EXPECT_NE(refusal("build").find("it was built as another build, this nettd as "), std::string::npos);
    EXPECT_EQ(refusal("name"), "its name is not a plugin name (a-z, 0-9 and \"-\")");
    EXPECT_EQ(refusal("member"), "plugin \"broken\" leaves a member of its descriptor empty");
}

TEST(Loader, AFileThatIsNoSharedObjectIsRefusedWithTheLinkersWords) {
    const auto directory = std::filesystem::temp_directory_path() / fmt::format("nett-loader-{}", ::getpid());
    std::filesystem::create_directory(directory);
    std::ofstream(directory / "nett-text.so") << "not ELF";
    const auto set = load_plugins(directory.string());
    std::filesystem::remove_all(directory);
    ASSERT_TRUE(set);
    EXPECT_TRUE(set->plugins.empty());
    ASSERT_EQ(set->refused.size(), 1U);
    EXPECT_TRUE(set->refused[0].message.starts_with("cannot be loaded: ")) << set->refused[0].message;
}

TEST(Loader, ADirectoryGivesWhatLoadsAndEveryRefusal) {
    const auto set = load_plugins(std::getenv("NETT_TEST_PLUGINS"));
    ASSERT_TRUE(set);
    EXPECT_EQ(set->plugins.size(), 1U);
    EXPECT_EQ(set->refused.size(), 6U);
}

TEST(Loader, AMissingDirectoryIsAnError) {
    EXPECT_EQ(load_plugins("/nonexistent/plugins").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace nett
