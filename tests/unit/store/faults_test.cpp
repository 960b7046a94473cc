// What the state file's surroundings can do to it.
#include <fstream>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/core/store/schema.hpp"
#include "agent/sdk/enrol.hpp"
#include "agent/sdk/model.hpp"
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
    const auto known = fmt::format("its schema has version 99, this nettd knows up to {}", state_migrations().size());
    EXPECT_NE(error.message.find(known), std::string::npos) << error.message;
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

// A file of the first release: configs and boots inside of machines, no grouping indexes.
TEST_F(StoreFaults, AFileOfTheFirstReleaseKeepsItsMachinesConfigsAndBoots) {
    {
        SQLite::Database old(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        ASSERT_TRUE(migrate(old, path(), state_migrations().first(1)));
        const auto add = [&](const char* kind, const char* key, const std::string& value) {
            SQLite::Statement insert(old, "INSERT INTO record VALUES (?, ?, ?, 7)");
            insert.bind(1, kind);
            insert.bind(2, key);
            insert.bind(3, value);
            insert.exec();
        };
        const std::string machine = R"({"version":1,"name":"n1","tenant":"a","serial":"S1","state":"active",)"
                                    R"("delivery":"embedded","artifact_set":"talos","bmc":"b1",)";
        add("machine", "n1",
            machine + R"("sealed_config":"v1:AA","config_sha256":"ff","config_size":5,"boots":3,)"
                      R"("last_boot_time":"2026-11-21T11:05:00.000Z","last_boot_source":"::1",)"
                      R"("last_boot_outcome":"netboot"})");
        add("machine", "n2",
            R"({"version":1,"name":"n2","tenant":"a","serial":"S1","state":"new",)"
            R"("delivery":"embedded","sealed_config":"","boots":0})");
        add("job", "00000000000000000001", R"({"version":1,"id":"1","machine":"n1","state":"DONE"})");
        add("job", "00000000000000000002", R"({"version":1,"id":"2","machine":"n1","state":"NEEDS_OPERATOR"})");
        old.exec("UPDATE meta SET value = 7 WHERE name = 'revision'");
    }
    const auto store = SqliteStore::open(path(), loop_.get_executor()).value();
    EXPECT_EQ(store->revision(), 8U);
    EXPECT_EQ(store->changes(7, 1).error().code, Code::kFailedPrecondition) << "whoever follows must list again";
    const auto machine = store->get(kMachineKind, "n1").value()->value;
    EXPECT_EQ(machine.find("sealed_config"), std::string::npos);
    EXPECT_EQ(decode<Machine>(machine)->config_sha256, "ff");
    const auto config = decode<MachineConfig>(store->get(kMachineConfigKind, "n1").value()->value).value();
    EXPECT_EQ(config.sealed, "v1:AA");
    EXPECT_EQ(config.size, 5U);
    EXPECT_FALSE(store->get(kMachineConfigKind, "n2").value());
    const auto boots = decode<BootHistory>(store->get(kBootHistoryKind, "n1").value()->value).value();
    EXPECT_EQ(boots.boots, 3U);
    EXPECT_EQ(to_rfc3339(boots.last_boot.time), "2026-11-21T11:05:00.000Z");
    EXPECT_EQ(store->count(kMachineKind, kTenantIndex, group_prefix("a")).value(), 2U);
    EXPECT_EQ(store->scan(kMachineKind, kBmcIndex, group_prefix("b1"), "", 5)->front().key, "n1");
    EXPECT_EQ(store->scan(kMachineKind, kArtifactSetIndex, group_prefix("talos"), "", 5)->front().key, "n1");
    EXPECT_EQ(store->find(kMachineKind, kSerialIndex, "S1").value()->key, "n1") << "the first of two";
    EXPECT_EQ(store->count(kJobKind, kOpenJobIndex, group_prefix("n1")).value(), 1U);
    EXPECT_EQ(store->count(kJobKind, kEndedJobIndex, group_prefix("")).value(), 1U);
}

// Before step 3 they were known by their id alone.
TEST_F(StoreFaults, UnknownMachinesOfAnOlderFileAreTheirTenants) {
    UnknownMachine seen;
    seen.id = "52:54:00:00:00:01";
    seen.tenant = "a";
    seen.requests = 3;
    {
        SQLite::Database old(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        ASSERT_TRUE(migrate(old, path(), state_migrations().first(2)));
        SQLite::Statement insert(old, "INSERT INTO record VALUES ('unknown-machine', ?, ?, 7)");
        insert.bind(1, seen.id);
        insert.bind(2, put_of(seen).value);
        insert.exec();
        old.exec(
            "INSERT INTO index_entry VALUES ('unknown-machine', 'tenant', 'a/52:54:00:00:00:01', '52:54:00:00:00:01')");
        old.exec("UPDATE meta SET value = 7 WHERE name = 'revision'");
    }
    const auto store = SqliteStore::open(path(), loop_.get_executor()).value();
    EXPECT_EQ(store->revision(), 8U);
    const auto key = unknown_machine_key("a", seen.id);
    EXPECT_EQ(decode<UnknownMachine>(store->get(kUnknownMachineKind, key).value()->value)->requests, 3U);
    EXPECT_FALSE(store->get(kUnknownMachineKind, seen.id).value());
    EXPECT_EQ(store->scan(kUnknownMachineKind, kUnknownIdIndex, group_prefix(seen.id), "", 5)->front().key, key);
    EXPECT_EQ(store->count(kUnknownMachineKind, kTenantIndex, group_prefix("a")).value(), 1U);
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
