// What the state file's surroundings can do to it.
#include <fstream>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/core/store/schema.hpp"
#include "tests/unit/store/store_fixture.hpp"

namespace nett::test {
namespace {

class StoreFaults : public ::testing::Test {
protected:
    Error open_error(const std::string& path) {
        auto opened = SqliteStore::open(path, loop_.get_executor());
        EXPECT_FALSE(opened);
        return opened ? Error{} : opened.error();
    }
    void open_and_put(int count) {
        auto store = SqliteStore::open(path(), loop_.get_executor()).value();
        for (int i = 0; i < count; ++i) {
            ASSERT_TRUE(await_on(loop_, store->commit(put("machine", std::to_string(i), std::string(1000, 'x')))));
        }
    }
    std::string path() const { return directory_ / "state.db"; }

    TemporaryDirectory directory_;
    asio::io_context loop_{1};
};

TEST_F(StoreFaults, SecondAgentIsRefusedAndTheFirstIsNamed) {
    auto first = SqliteStore::open(path(), loop_.get_executor());
    ASSERT_TRUE(first);
    const auto error = open_error(path());
    EXPECT_EQ(error.code, Code::kFailedPrecondition);
    EXPECT_EQ(error.to_string(), path() + ": this state file is in use by process " + std::to_string(::getpid()) +
                                     "; stop that one, or give this agent another state file");
    // By another name too.
    ASSERT_EQ(::symlink(path().c_str(), (directory_ / "alias.db").c_str()), 0);
    EXPECT_EQ(open_error(directory_ / "alias.db").code, Code::kFailedPrecondition);
    first->reset();
    EXPECT_TRUE(SqliteStore::open(path(), loop_.get_executor()));
}

TEST_F(StoreFaults, FileIsPrivate) {
    open_and_put(1);
    struct stat info {};
    ASSERT_EQ(::stat(path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(StoreFaults, MissingDirectory) {
    const auto error = open_error(directory_ / "absent/state.db");
    EXPECT_EQ(error.code, Code::kNotFound);
    EXPECT_NE(error.to_string().find("absent/state.db"), std::string::npos);
}

TEST_F(StoreFaults, DirectoryInPlaceOfTheFile) {
    EXPECT_FALSE(SqliteStore::open(directory_.path(), loop_.get_executor()));
}

// As a user that file modes hold for; in a child, because root's tests cannot change back.
TEST_F(StoreFaults, UnwritableDirectoryAndUnreadableFile) {
    open_and_put(1);
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0555), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        constexpr uid_t kNobody = 65534;
        if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(10);
        asio::io_context loop;
        const auto existing = SqliteStore::open(path(), loop.get_executor());
        if (existing || existing.error().code != Code::kPermissionDenied) ::_exit(11);
        const auto fresh = SqliteStore::open(directory_ / "fresh.db", loop.get_executor());
        if (fresh || fresh.error().code != Code::kPermissionDenied) ::_exit(12);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ::chmod(directory_.path().c_str(), 0755);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(StoreFaults, NotADatabase) {
    std::ofstream(path())
        << "This is a text file, long enough to have a header of a hundred bytes if it were a database. "
        << std::string(200, '!');
    const auto error = open_error(path());
    EXPECT_EQ(error.code, Code::kDataLoss);
    EXPECT_NE(error.message.find("not a state file of nett"), std::string::npos) << error.message;
}

TEST_F(StoreFaults, DamagedPagesAreFoundAtStart) {
    open_and_put(200);
    {
        std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096 * 5);
        file << std::string(4096 * 20, '\xff');
    }
    const auto error = open_error(path());
    EXPECT_EQ(error.code, Code::kDataLoss) << error.to_string();
    EXPECT_NE(error.message.find("restore a backup"), std::string::npos) << error.message;
}

TEST_F(StoreFaults, DatabaseOfAnotherProgramIsLeftAlone) {
    {
        SQLite::Database other(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        other.exec("CREATE TABLE precious (x)");
    }
    EXPECT_EQ(open_error(path()).code, Code::kFailedPrecondition);
    SQLite::Database other(path());
    EXPECT_EQ(other.execAndGet("SELECT count(*) FROM sqlite_schema").getInt(), 1);
}

TEST_F(StoreFaults, NewerSchemaIsRefusedAndLeftAlone) {
    open_and_put(1);
    {
        SQLite::Database newer(path(), SQLite::OPEN_READWRITE);
        newer.exec("PRAGMA user_version = 99");
    }
    const auto error = open_error(path());
    EXPECT_EQ(error.code, Code::kFailedPrecondition);
    EXPECT_NE(error.message.find("its schema has version 99, this nettd knows up to 1"), std::string::npos)
        << error.message;
    SQLite::Database newer(path());
    EXPECT_EQ(newer.execAndGet("PRAGMA user_version").getInt(), 99);
}

TEST_F(StoreFaults, MigrationsRunFromWhereAFileStands) {
    constexpr std::array kTwo{Migration{"first", "CREATE TABLE a (x)"},
                              Migration{"second", "ALTER TABLE a ADD COLUMN y"}};
    SQLite::Database database(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    ASSERT_TRUE(migrate(database, path(), std::span(kTwo).first(1)));
    database.exec("INSERT INTO a VALUES (1)");
    ASSERT_TRUE(migrate(database, path(), kTwo));
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM a WHERE y IS NULL").getInt(), 1);
    EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), 2);
    ASSERT_TRUE(migrate(database, path(), kTwo)) << "nothing left to do";
    EXPECT_FALSE(migrate(database, path(), std::span(kTwo).first(1)));
}

TEST_F(StoreFaults, FailedMigrationLeavesTheFileAsItWas) {
    constexpr std::array kBroken{Migration{"first", "CREATE TABLE a (x)"},
                                 Migration{"second", "CREATE TABLE b (x); CREATE TABLE a (x)"}};
    SQLite::Database database(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    EXPECT_THROW(static_cast<void>(migrate(database, path(), kBroken)), SQLite::Exception);
    EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), 1);
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM sqlite_schema WHERE name = 'b'").getInt(), 0);
}

// A full disk, by a limit on the number of pages.
TEST_F(StoreFaults, FullDiskFailsTheLargeCommitOnlyAndReadsGoOn) {
    SqliteOptions options;
    options.max_pages = 100;
    auto store = SqliteStore::open(path(), loop_.get_executor(), options).value();
    ASSERT_TRUE(await_on(loop_, store->commit(put("machine", "kept", "1"))));
    // In one group: small, too large, small.
    std::vector<Result<Revision>> results;
    for (auto& transaction :
         {put("machine", "a", "1"), put("machine", "large", std::string(1U << 20U, 'x')), put("machine", "b", "1")}) {
        asio::co_spawn(loop_, store->commit(transaction), [&](const std::exception_ptr&, Result<Revision> result) {
            results.push_back(std::move(result));
        });
    }
    loop_.restart();
    loop_.run();
    ASSERT_EQ(results.size(), 3U);
    EXPECT_TRUE(results[0]);
    ASSERT_FALSE(results[1]);
    EXPECT_EQ(results[1].error().code, Code::kResourceExhausted);
    EXPECT_NE(results[1].error().message.find("make room on the disk"), std::string::npos);
    EXPECT_TRUE(results[2]);
    EXPECT_EQ(store->list("machine", "", SIZE_MAX).value().size(), 3U);
    EXPECT_EQ(store->revision(), 3U);
    EXPECT_EQ(store->changes(0, 10).value().size(), 3U);
}

}  // namespace
}  // namespace nett::test
