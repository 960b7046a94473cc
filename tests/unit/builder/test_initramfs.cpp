#include <gtest/gtest.h>

#include "builder/initramfs.hpp"
#include "builder/process.hpp"
#include "tests/unit/builder/support.hpp"

namespace nett::builder {
namespace {

std::string member(std::string_view name, std::string_view content) {
    std::string result = "070701";
    const std::size_t fields[] = {1, 0100644, 0, 0, 1, 0, content.size(), 0, 0, 0, 0, name.size() + 1, 0};
    for (const std::size_t field : fields) result += fmt::format("{:08x}", field);
    result += std::string(name) + '\0';
    result.resize((result.size() + 3) / 4 * 4);
    result += content;
    result.resize((result.size() + 3) / 4 * 4);
    return result;
}

std::string archive_of(std::string_view name, std::string_view content) {
    return member("init", "program") + member(name, content) + member("usr/last", "x") + member("TRAILER!!!", "");
}

TEST(CpioSearch, FindsTheLastOfSeveralInPiecesOfAnySize) {
    const std::string bytes = archive_of("extensions.yaml", "old") + std::string(512, '\0') +
                              archive_of("./extensions.yaml", "layers: []\n") + archive_of("other.yaml", "no");
    for (const std::size_t size : {1, 3, 110, 4096}) {
        CpioSearch search("extensions.yaml");
        for (std::size_t at = 0; at < bytes.size(); at += size) search.feed(std::string_view(bytes).substr(at, size));
        EXPECT_TRUE(search.has_found());
        EXPECT_EQ(search.found(), "layers: []\n") << size;
        EXPECT_FALSE(search.ended());
    }
}

TEST(CpioSearch, EndsAtWhatIsNoArchive) {
    for (const std::string& bytes :
         std::vector<std::string>{std::string(200, 'x'), member("a", "b").replace(94, 8, "ffffffff"),
                                  member("a", "b").replace(54, 8, "no hex!!"), "070701" + std::string(200, 'g')}) {
        CpioSearch search("extensions.yaml");
        search.feed(bytes);
        EXPECT_TRUE(search.ended()) << bytes;
        EXPECT_FALSE(search.has_found());
    }
}

TEST(Initramfs, CompressedOnesThatFollowEachOtherAreLookedThrough) {
    const TemporaryFolder folder;
    put_file(folder.at("a"), archive_of("extensions.yaml", "old"));
    put_file(folder.at("b"), archive_of("extensions.yaml", "new"));
    const auto packed = tool_output({"sh", "-c", "cd \"$0\" && xz -c a && xz -c b", folder.path()}, {});
    ASSERT_TRUE(packed) << packed.error().to_string();
    put_file(folder.at("initramfs.xz"), *packed);
    EXPECT_EQ(extensions_of_initramfs(folder.at("initramfs.xz")).value(), "new");
    put_file(folder.at("damaged.xz"), packed->substr(0, packed->size() / 4));
    EXPECT_EQ(extensions_of_initramfs(folder.at("damaged.xz")).error().code, Code::kInvalidArgument);
    put_file(folder.at("nothing"), "no initramfs");
    EXPECT_EQ(extensions_of_initramfs(folder.at("nothing")).value(), "");
}

}  // namespace
}  // namespace nett::builder
