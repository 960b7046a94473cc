// Backups of a small agent's files, and what they are put back into.
#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/backup/backup.hpp"
#include "agent/core/backup/restore.hpp"
#include "agent/core/config/parser.hpp"
#include "agent/core/store/schema.hpp"
#include "agent/sdk/strings.hpp"
#include "tests/unit/store/store_fixture.hpp"

namespace nett::test {
namespace {

void write(const std::string& path, std::string_view bytes, mode_t mode = 0600) {
    std::ofstream(path, std::ios::binary) << bytes;
    ::chmod(path.c_str(), mode);
}

std::string content(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

// "new content, former content" of a file after a restore.
class BackupTest : public StoreTest {
protected:
    void SetUp() override {
        StoreTest::SetUp();
        std::filesystem::create_directories(directory_ / "artifacts/sha256");
        write(directory_ / "nett.conf", "hostname a\n", 0640);
        write(directory_ / "secret.key", "the key\n");
        write(directory_ / "server.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
        write(directory_ / "token", "t0ken\n");
        kernel_ = sha256_hex("kernel");
        write(directory_ / ("artifacts/sha256/" + kernel_), "kernel");
        write(directory_ / "artifacts/sha256/unused", "what no set names");
        ASSERT_TRUE(commit(put("artifact-set", "s", R"({"files":[{"name":"vmlinuz","sha256":")" + kernel_ + "\"}]}")));
        source_ = {"0.1.0",
                   "meta-1",
                   directory_ / "nett.conf",
                   path(),
                   directory_ / "secret.key",
                   directory_ / "artifacts",
                   {{directory_ / "server.pem"}, {directory_ / "token"}, {directory_ / "gone.pem"}}};
    }

    Result<void> take(const BackupOptions& options = {}) {
        std::ofstream out(archive(), std::ios::binary);
        return write_backup(source_, options, clock_.system_now(), [&](std::string_view bytes) -> Result<void> {
            out << bytes;
            return {};
        });
    }
    std::string archive() const { return directory_ / "backup.tar"; }
    Result<VerifiedBackup> verify() { return verify_backup(archive(), directory_.path()); }
    std::string refusal() {
        const auto verified = verify();
        return verified ? "accepted" : verified.error().to_string();
    }
    std::vector<std::string> names() {
        std::vector<std::string> out;
        const auto verified = verify().value();
        for (const auto& file : verified.manifest.files) out.push_back(file.role + " " + file.path);
        return out;
    }
    // As nett-restore would.
    Result<std::vector<RestoredFile>> restore(const std::string& root) {
        auto verified = verify();
        if (!verified) return fail(std::move(verified.error()));
        return restore_backup(*verified, root, clock_.system_now());
    }
    std::string root() const { return directory_ / "root"; }
    // The restored place of a file of this test's directory.
    std::string in_root(std::string_view name) const { return root() + (directory_ / name); }

    ManualClock clock_;
    std::string kernel_;
    BackupSource source_;
};

TEST_F(BackupTest, HasWhatTheConfigurationAndTheStateName) {
    ASSERT_TRUE(take());
    EXPECT_EQ(names(),
              (std::vector<std::string>{"configuration " + (directory_ / "nett.conf"), "state " + path(),
                                        "secret-key " + (directory_ / "secret.key"),
                                        "certificate " + (directory_ / "server.pem"), "file " + (directory_ / "token"),
                                        "artifact " + (directory_ / ("artifacts/sha256/" + kernel_))}));
    EXPECT_EQ(verify()->schema, static_cast<int>(state_migrations().size()));
    EXPECT_EQ(verify()->manifest.hostname, "meta-1");
}

TEST_F(BackupTest, LeavesKeyAndArtifactsOutWhereTheyAreNotWanted) {
    source_.named.push_back({directory_ / "secret.key"});  // however it is named
    ASSERT_TRUE(take({.artifacts = false, .secrets_key = false}));
    for (const auto& name : names()) {
        EXPECT_FALSE(name.starts_with("secret-key") || name.starts_with("artifact") || name.ends_with("secret.key"))
            << name;
    }
    EXPECT_EQ(content(archive()).find("the key"), std::string::npos);
}

TEST_F(BackupTest, LeavesNothingBehind) {
    ASSERT_TRUE(take());
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
        EXPECT_EQ(entry.path().filename().string().find(".backup-"), std::string::npos) << entry.path();
    }
}

TEST_F(BackupTest, RestoresIntoAnEmptyRoot) {
    ASSERT_TRUE(take());
    const auto restored = restore(root());
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(content(in_root("nett.conf")), "hostname a\n");
    EXPECT_EQ(content(in_root("secret.key")), "the key\n");
    EXPECT_EQ(content(in_root("artifacts/sha256/" + kernel_)), "kernel");
    struct stat info = {};
    ASSERT_EQ(::stat(in_root("nett.conf").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0640U);
    const auto state = SqliteStore::open(in_root("state.db"), loop_.get_executor());
    ASSERT_TRUE(state) << state.error().to_string();
    EXPECT_TRUE((*state)->get("artifact-set", "s").value().has_value());
    EXPECT_EQ((*state)->revision(), store_->revision());
}

TEST_F(BackupTest, WritesGoOnMeanwhileAndTheCopyIsOfOneRevision) {
    // Two records that every commit changes together.
    const auto both = [](int value) {
        auto transaction = put("pair", "a", std::to_string(value));
        transaction.puts.push_back({"pair", "b", std::to_string(value)});
        return transaction;
    };
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(commit(both(i)));
        int next = 100 * (i + 1);
        std::ofstream out(archive(), std::ios::binary);
        ASSERT_TRUE(write_backup(source_, {}, clock_.system_now(), [&](std::string_view bytes) -> Result<void> {
            out << bytes;
            if (auto done = commit(both(next++)); !done) return fail(std::move(done.error()));
            return {};
        }));
        out.close();
        std::filesystem::remove_all(root());
        ASSERT_TRUE(restore(root()));
        const auto state = SqliteStore::open(in_root("state.db"), loop_.get_executor()).value();
        EXPECT_EQ(state->get("pair", "a").value()->value, std::to_string(i));
        EXPECT_EQ(state->get("pair", "b").value()->value, std::to_string(i));
        EXPECT_GT(next, 100 * (i + 1));
    }
}

TEST_F(BackupTest, KeepsTheFormerFilesAndLeavesWhatIsTheSame) {
    ASSERT_TRUE(take());
    ASSERT_TRUE(restore(root()));
    write(in_root("nett.conf"), "hostname changed\n");
    clock_.advance(std::chrono::hours(1));
    const auto again = restore(root());
    ASSERT_TRUE(again) << again.error().to_string();
    for (const auto& file : *again) {
        if (file.path == in_root("nett.conf")) {
            EXPECT_EQ(content(file.kept), "hostname changed\n");
        } else {
            EXPECT_TRUE(file.already || file.path == in_root("state.db")) << file.path;
        }
    }
    EXPECT_EQ(content(in_root("nett.conf")), "hostname a\n");
}

TEST_F(BackupTest, OldLogGoesWithTheOldDatabase) {
    ASSERT_TRUE(take());
    ASSERT_TRUE(restore(root()));
    write(in_root("state.db-wal"), "the old log");
    clock_.advance(std::chrono::hours(1));
    const auto again = restore(root());
    ASSERT_TRUE(again);
    EXPECT_FALSE(std::filesystem::exists(in_root("state.db-wal")));
    const auto state =
        std::find_if(again->begin(), again->end(), [&](const auto& f) { return f.path == in_root("state.db"); });
    ASSERT_NE(state, again->end());
    EXPECT_EQ(content(state->kept + "-wal"), "the old log");
}

TEST_F(BackupTest, WhatCannotBePlacedTakesTheRestBack) {
    ASSERT_TRUE(take());
    ASSERT_TRUE(restore(root()));
    write(in_root("nett.conf"), "hostname changed\n");
    write(in_root("state.db-wal"), "the log");
    // The last one to be placed is in the way.
    std::filesystem::remove(in_root("artifacts/sha256/" + kernel_));
    std::filesystem::create_directories(in_root("artifacts/sha256/" + kernel_));
    const auto before = content(in_root("state.db"));
    const auto refused = restore(root());
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("is a directory"), std::string::npos) << refused.error().to_string();
    EXPECT_EQ(content(in_root("nett.conf")), "hostname changed\n");
    EXPECT_EQ(content(in_root("state.db")), before);
    EXPECT_EQ(content(in_root("state.db-wal")), "the log");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root())) {
        const auto name = entry.path().filename().string();
        EXPECT_TRUE(name.find(".replaced-") == std::string::npos && name.find(".restore-") == std::string::npos)
            << name;
    }
}

TEST_F(BackupTest, RefusesWhileAnAgentRuns) {
    ASSERT_TRUE(take());
    const auto refused = restore("");  // the store of this test is the agent
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("nettd runs on it; stop it first"), std::string::npos);
}

TEST_F(BackupTest, FindsEveryDamage) {
    ASSERT_TRUE(take());
    const auto whole = content(archive());
    ASSERT_EQ(refusal(), "accepted");
    for (const auto* text : {"hostname a", "the key", "t0ken", "kernel"}) {
        auto broken = whole;
        broken[broken.rfind(text)] ^= 1;
        write(archive(), broken);
        EXPECT_NE(refusal().find("take another backup"), std::string::npos) << text;
    }
    write(archive(), whole.substr(0, whole.size() / 2));
    EXPECT_NE(refusal(), "accepted");
    write(archive(), "no archive at all");
    EXPECT_NE(refusal(), "accepted");
    std::filesystem::remove(archive());
    EXPECT_NE(refusal().find("No such file"), std::string::npos);
}

TEST_F(BackupTest, StateOfANewerSchemaIsRefusedWithWhatToInstall) {
    store_.reset();
    {
        SQLite::Database database(path(), SQLite::OPEN_READWRITE);
        database.exec("PRAGMA user_version = 999");
    }
    ASSERT_TRUE(take());
    EXPECT_NE(refusal().find("install the nett that wrote it, or a newer one"), std::string::npos) << refusal();
}

TEST_F(BackupTest, ArtifactThatIsNotWhatItsNameSaysEndsTheBackup) {
    write(directory_ / ("artifacts/sha256/" + kernel_), "kermel");
    const auto taken = take();
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::kDataLoss);
    EXPECT_NE(taken.error().message.find("import its set again"), std::string::npos);
    // What was written has no end: nobody takes it for whole.
    EXPECT_NE(refusal(), "accepted");
    std::filesystem::remove(directory_ / ("artifacts/sha256/" + kernel_));
    const auto missing = take();
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Code::kNotFound);
}

TEST_F(BackupTest, ReaderThatGivesUpEndsTheBackup) {
    const auto ended = write_backup(source_, {}, clock_.system_now(),
                                    [](std::string_view) -> Result<void> { return fail(Code::kAborted, "enough"); });
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().message, "enough");
}

TEST(NamedFiles, AreThePathsOfTheConfiguration) {
    const auto grammar = Grammar::build({{"", "hostname {name:word}", "h"},
                                         {"", "plugin m", "h", {}, {}, "m"},
                                         {"m", "certificate {file:path}", "h"},
                                         {"m", "image {file:path}", "h"}})
                             .value();
    auto parsed = parse_config(grammar, "hostname /x\nplugin m\n certificate /a.pem\n image /b.iso\n", "t");
    const auto found = named_files(grammar, parsed.root);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].path, "/a.pem");
    EXPECT_FALSE(found[0].image);
    EXPECT_EQ(found[1].path, "/b.iso");
    EXPECT_TRUE(found[1].image);
}

}  // namespace
}  // namespace nett::test
