#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include "agent/sdk/strings.hpp"
#include "tests/unit/inventory/inventory_fixture.hpp"

namespace nett::test {
namespace {

class ArtifactFilesTest : public ::testing::Test {
protected:
    ArtifactFiles open() { return ArtifactFiles::open(directory_ / "artifacts").value(); }
    std::vector<std::string> names() {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(directory_ / "artifacts/sha256")) {
            names.push_back(entry.path().filename());
        }
        return names;
    }
    TemporaryDirectory directory_;
};

TEST_F(ArtifactFilesTest, StoresByContent) {
    const auto files = open();
    auto import = files.begin_import().value();
    ASSERT_TRUE(import.append("hello "));
    ASSERT_TRUE(import.append("world"));
    const auto digest = sha256_hex("hello world");
    const auto imported = import.finish(digest, 11).value();
    EXPECT_EQ(imported.sha256, digest);
    EXPECT_EQ(imported.size, 11U);
    EXPECT_FALSE(imported.existed);
    EXPECT_EQ(names(), std::vector<std::string>{digest});
    EXPECT_EQ(files.size_of(digest).value(), 11U);
    EXPECT_TRUE(files.verify(digest));
    EXPECT_EQ(read_file(files.path_of(digest), 100).value(), "hello world");
    struct stat info {};
    ASSERT_EQ(::stat(files.path_of(digest).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0644U);
}

TEST_F(ArtifactFilesTest, TheSameContentIsNoticed) {
    const auto files = open();
    for (const bool again : {false, true}) {
        auto import = files.begin_import().value();
        ASSERT_TRUE(import.append("same"));
        EXPECT_EQ(import.finish("", 0).value().existed, again);
    }
    EXPECT_EQ(names().size(), 1U);
}

TEST_F(ArtifactFilesTest, WhatIsNotAsAnnouncedIsDropped) {
    const auto files = open();
    for (const bool by_digest : {true, false}) {
        auto import = files.begin_import().value();
        ASSERT_TRUE(import.append("truncat"));
        const auto refused = by_digest ? import.finish(sha256_hex("truncated"), 0) : import.finish("", 9);
        EXPECT_EQ(refused.error().code, Code::kDataLoss);
    }
    { auto abandoned = files.begin_import().value(); }
    EXPECT_TRUE(names().empty());
}

TEST_F(ArtifactFilesTest, LeftoversOfAKilledRunGo) {
    open();
    std::ofstream(directory_ / "artifacts/sha256/.import-abcdef") << "half";
    open();
    EXPECT_TRUE(names().empty());
}

TEST_F(ArtifactFilesTest, AnInterruptedImportIsGoneOnWith) {
    const auto files = open();
    const auto digest = sha256_hex("hello world");
    {
        auto import = files.resume_import(digest, 0).value();
        ASSERT_TRUE(import.append("hello"));
        EXPECT_EQ(files.resume_import(digest, 0).error().code, Code::kAborted) << "one at a time";
        EXPECT_EQ(import.finish(digest, 11).error().code, Code::kDataLoss);
    }
    EXPECT_EQ(open().received_of(digest), 5U) << "also after a restart";
    EXPECT_EQ(files.resume_import(digest, 4).error().code, Code::kFailedPrecondition);
    auto import = files.resume_import(digest, 5).value();
    ASSERT_TRUE(import.append(" world"));
    EXPECT_TRUE(import.finish(digest, 11));
    EXPECT_EQ(names(), std::vector<std::string>{digest});
    EXPECT_EQ(files.received_of(digest), 0U);
    EXPECT_TRUE(files.verify(digest));
}

TEST_F(ArtifactFilesTest, AResumedImportThatIsWrongBeginsAnew) {
    const auto files = open();
    const auto digest = sha256_hex("hello world");
    {
        auto import = files.resume_import(digest, 0).value();
        ASSERT_TRUE(import.append("HELLO"));
    }
    {
        auto import = files.resume_import(digest, 5).value();
        ASSERT_TRUE(import.append(" world"));
        EXPECT_EQ(import.finish(digest, 11).error().code, Code::kDataLoss);
    }
    EXPECT_EQ(files.received_of(digest), 0U);
    EXPECT_EQ(files.resume_import("../../etc/passwd", 0).error().code, Code::kInvalidArgument);
    EXPECT_TRUE(names().empty());
}

TEST_F(ArtifactFilesTest, WhatNobodyGoesOnWithIsRemovedAfterAWhile) {
    const auto files = open();
    { ASSERT_TRUE(files.resume_import(sha256_hex("x"), 0).value().append("half")); }
    const auto path = (directory_ / "artifacts/sha256/") + names().at(0);
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - 2 * kPartialLifetime);
    open();
    EXPECT_TRUE(names().empty());
}

TEST_F(ArtifactFilesTest, DamageIsFoundAndHealedByAnotherUpload) {
    const auto files = open();
    const auto upload = [&] {
        auto import = files.begin_import().value();
        EXPECT_TRUE(import.append("content"));
        return import.finish("", 0).value().sha256;
    };
    const auto digest = upload();
    std::ofstream(files.path_of(digest)) << "c0ntent";
    EXPECT_EQ(files.verify(digest).error().code, Code::kDataLoss);
    upload();
    EXPECT_TRUE(files.verify(digest));
    EXPECT_EQ(files.verify(sha256_hex("absent")).error().code, Code::kNotFound);
}

TEST_F(ArtifactFilesTest, UnusableDirectory) {
    EXPECT_FALSE(ArtifactFiles::open(directory_ / "absent/artifacts"));
    std::ofstream(directory_ / "file") << "x";
    EXPECT_FALSE(ArtifactFiles::open(directory_ / "file"));
}

TEST_F(InventoryTest, ArtifactSetNeedsItsFiles) {
    auto set = artifact_set("talos-1.13");
    ASSERT_TRUE(run(inventory_->put_artifact_set(set, by_)));
    const auto stored = inventory_->artifact_sets().value().at(0).value;
    EXPECT_EQ(stored.files.at(0).size, 6U) << "filled in";
    set.files[0].sha256 = std::string(64, 'a');
    const auto absent = run(inventory_->put_artifact_set(set, by_));
    EXPECT_EQ(absent.error().code, Code::kFailedPrecondition);
    EXPECT_NE(absent.error().message.find("upload it first"), std::string::npos);
    set = artifact_set("talos-1.13");
    set.files[0].size = 7;
    EXPECT_EQ(run(inventory_->put_artifact_set(set, by_)).error().code, Code::kDataLoss);
}

TEST_F(InventoryTest, RefusesWhatASetMayNotBe) {
    const auto refused = [&](auto change) {
        auto set = artifact_set("talos-1.13");
        change(set);
        const auto result = run(inventory_->put_artifact_set(set, by_));
        EXPECT_FALSE(result);
        return result ? Code::kInternal : result.error().code;
    };
    EXPECT_EQ(refused([](ArtifactSet& s) { s.architecture = "x86"; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](ArtifactSet& s) { s.kernel = "bzImage"; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](ArtifactSet& s) { s.files[0].name = "../vmlinuz"; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](ArtifactSet& s) { s.files[1].name = "vmlinuz"; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](ArtifactSet& s) { s.files[0].sha256 = "abc"; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](ArtifactSet& s) { s.command_line = "a=${b}"; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](ArtifactSet& s) { s.extension_layers = "{}"; }), Code::kInvalidArgument);
}

TEST_F(InventoryTest, ArtifactSetInUseStays) {
    put_tenant("tenant-a");
    ASSERT_TRUE(run(inventory_->put_artifact_set(artifact_set("talos-1.13"), by_)));
    auto user = machine("node-1", "525400000001");
    user.artifact_set = "talos-1.13";
    ASSERT_TRUE(put(user));
    EXPECT_EQ(run(inventory_->delete_artifact_set("talos-1.13", by_)).error().code, Code::kFailedPrecondition);
    user.artifact_set.clear();
    ASSERT_TRUE(put(user));
    EXPECT_TRUE(run(inventory_->delete_artifact_set("talos-1.13", by_)));
}

}  // namespace
}  // namespace nett::test
