// State files of every released schema, made by the code of their time (tests/data/README.md), opened by today's.
#include "agent/core/store/schema.hpp"
#include "agent/core/store/secret_box.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/records.hpp"
#include "tests/unit/store/store_fixture.hpp"

namespace nett::test {
namespace {

const std::filesystem::path kData = NETT_TEST_DATA;

std::string database_of(std::size_t version) {
    return (kData / fmt::format("state-v{}.db", version)).string();
}

int user_version(const std::string& path) {
    return SQLite::Database(path, SQLite::OPEN_READONLY).execAndGet("PRAGMA user_version").getInt();
}

class Upgrade : public ::testing::TestWithParam<std::size_t> {
protected:
    void SetUp() override {
        std::filesystem::copy_file(database_of(GetParam()), path());
        std::filesystem::permissions(path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        ASSERT_EQ(user_version(path()), static_cast<int>(GetParam()));
        auto opened = SqliteStore::open(path(), loop_.get_executor());
        ASSERT_TRUE(opened) << opened.error().to_string();
        store_ = std::move(*opened);
    }
    std::string path() const { return directory_ / "state.db"; }
    template <typename T>
    T value(std::string_view kind, std::string_view key) {
        auto record = read_record<T>(*store_, kind, key);
        EXPECT_TRUE(record && *record) << kind << "/" << key;
        return record && *record ? (*record)->value : T();
    }

    TemporaryDirectory directory_;
    asio::io_context loop_{1};
    std::unique_ptr<SqliteStore> store_;
};

TEST_P(Upgrade, EveryRecordIsThereInTodaysShape) {
    const auto node = value<Machine>(kMachineKind, "node-1");
    EXPECT_EQ(node.state, MachineState::kProvisioning);
    EXPECT_EQ(node.uuid, "6e657474-0000-4000-8000-00000000c001");
    EXPECT_EQ(node.bmc, "bmc-1");
    ASSERT_EQ(node.ports.size(), 1U);
    EXPECT_EQ(node.ports[0].port, "tor-a/swp1");
    EXPECT_EQ(value<Machine>(kMachineKind, "node-2").macs, std::vector<std::string>{"52:54:00:aa:00:02"});
    EXPECT_EQ(value<Tenant>(kTenantKind, "tenant-a").common_name_suffixes,
              std::vector<std::string>{"tenant-a.boot.example"});
    EXPECT_EQ(value<ArtifactSet>(kArtifactSetKind, "talos").files.size(), 2U);
    EXPECT_EQ(value<BootHistory>(kBootHistoryKind, "node-1").boots, 3U);
}

TEST_P(Upgrade, SecretsAreStillReadWithTheirKey) {
    const auto key = directory_ / "secret.key";
    std::filesystem::copy_file(kData / fmt::format("state-v{}.key", GetParam()), key);
    std::filesystem::permissions(key, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const auto box = open_secret_box(key);
    ASSERT_TRUE(box) << box.error().to_string();
    const auto config =
        (*box)->open(value<MachineConfig>(kMachineConfigKind, "node-1").sealed, machine_config_context("node-1"));
    ASSERT_TRUE(config) << config.error().to_string();
    EXPECT_EQ(*config, "version: v1alpha1\nmachine: {}\n");
}

TEST_P(Upgrade, IndexesFindTheMachines) {
    const auto key_of = [&](std::string_view index, std::string_view wanted) {
        const auto found = store_->find(kMachineKind, index, wanted);
        return found && *found ? (*found)->key : std::string("(none)");
    };
    EXPECT_EQ(key_of("mac", "52:54:00:aa:00:02"), "node-2");
    EXPECT_EQ(key_of("serial", "SN1"), "node-1");
    EXPECT_EQ(store_->scan(kMachineKind, "tenant", "tenant-a/", "", SIZE_MAX).value().size(), 2U);
}

TEST_P(Upgrade, IsDoneOnceAndTheFileCanBeWritten) {
    const auto before = store_->revision();
    ASSERT_TRUE(await_on(loop_, store_->commit(put("tenant", "x", "{}"))));
    EXPECT_EQ(store_->revision(), before + 1);
    store_.reset();
    EXPECT_EQ(user_version(path()), static_cast<int>(state_migrations().size()));
    EXPECT_TRUE(SqliteStore::open(path(), loop_.get_executor()));
}

// A step that is added needs the database of the schema before it: tests/data/README.md says how it is made.
INSTANTIATE_TEST_SUITE_P(OfEverySchema, Upgrade, ::testing::Range(std::size_t{1}, state_migrations().size()));

TEST(NewerSchema, IsRefusedWithTheRemedyAndLeftAsItIs) {
    TemporaryDirectory directory;
    asio::io_context loop;
    const auto path = directory / "state.db";
    std::filesystem::copy_file(database_of(1), path);
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    SQLite::Database(path, SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 999");
    const auto refused = SqliteStore::open(path, loop.get_executor());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    EXPECT_NE(refused.error().message.find("run the newer nettd that wrote it, or restore a backup"),
              std::string::npos);
    EXPECT_EQ(user_version(path), 999);
}

}  // namespace
}  // namespace nett::test
