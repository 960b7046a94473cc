#include "plugins/metadata/squashfs.hpp"

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "agent/sdk/strings.hpp"

namespace nett::metadata {
namespace {

std::uint16_t little16(const std::string& bytes, std::size_t at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) | static_cast<unsigned char>(bytes[at + 1])
                                                                                  << 8);
}

TEST(ConfigImage, IsXzSquashfsWithoutTimes) {
    const auto image = make_config_image("machine: {}\n");
    ASSERT_TRUE(image) << image.error().to_string();
    EXPECT_EQ(image->substr(0, 4), "hsqs");
    EXPECT_EQ(image->substr(8, 4), std::string(4, '\0'));  // modification time
    EXPECT_EQ(little16(*image, 20), 4);                    // compression: xz
    EXPECT_EQ(image->size() % 4096, 0U);
}

TEST(ConfigImage, IsZstdWhereThatIsWanted) {
    const auto image = make_config_image("machine: {}\n", ImageCompression::kZstd);
    ASSERT_TRUE(image) << image.error().to_string();
    EXPECT_EQ(little16(*image, 20), 6);  // compression: zstd
    EXPECT_EQ(*image, make_config_image("machine: {}\n", ImageCompression::kZstd).value());
}

TEST(ConfigImage, IsTheSameBytesForTheSameConfig) {
    std::string big;
    for (int i = 0; i < 40000; ++i) big += "key" + std::to_string(i) + ": value\n";
    for (const auto& config : {std::string("a: 1\n"), std::string(128 * 1024, '#'), big}) {
        EXPECT_EQ(make_config_image(config).value(), make_config_image(config).value());
    }
    EXPECT_EQ(make_config_image("").error().code, Code::kInvalidArgument);
    EXPECT_NE(make_config_image("a: 1\n").value(), make_config_image("a: 2\n").value());
}

TEST(ConfigImageCache, KeepsTheLastImagesWithinItsBytes) {
    ConfigImageCache cache(2 * 4096);
    const auto first = cache.get("1", "one", ImageCompression::kXz).value();
    EXPECT_EQ(first->sha256, sha256_hex(first->bytes));
    EXPECT_EQ(cache.get("1", "one", ImageCompression::kXz).value(), first);
    cache.get("2", "two", ImageCompression::kXz).value();
    EXPECT_EQ(cache.get("1", "one", ImageCompression::kXz).value(), first);
    cache.get("3", "three", ImageCompression::kXz).value();  // pushes out "2", which was used longest ago
    EXPECT_EQ(cache.bytes(), 2U * 4096);
    EXPECT_EQ(cache.get("1", "one", ImageCompression::kXz).value(), first);
}

TEST(ConfigImageCache, ServesWithoutKeepingWhatIsTooLarge) {
    ConfigImageCache cache(16);
    EXPECT_TRUE(cache.get("1", "one", ImageCompression::kXz));
    EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace
}  // namespace nett::metadata
