// One server of several drives a BMC.
#include <gtest/gtest.h>

#include "agent/sdk/servers.hpp"
#include "tests/unit/redfish/runner_fixture.hpp"

namespace nett::redfish {
namespace {

class SharedBmc : public RunnerTest {
protected:
    void SetUp() override {
        RunnerTest::SetUp();
        server = "gw-1";
        add_machine("node-1", "2001:db8:bc::1");
        alive("gw-1");
        alive("gw-2");
    }
    void alive(const std::string& name) { store.put({std::string(kServerKind), name, "{}", {}}); }
    void dies(const std::string& name) {
        Transaction transaction;
        transaction.deletes.push_back({std::string(kServerKind), name});
        asio::co_spawn(loop, store.commit(std::move(transaction)), asio::detached);
        settle();
    }
    void owned_by(const std::string& name) {
        store.put({std::string(kBmcOwnerKind), endpoint(), "{\"version\":1,\"owner\":\"" + name + "\"}", {}});
    }
    std::string endpoint() { return find_place(store, settings, "node-1").endpoint; }
    std::string owner() {
        const auto record = *store.get(kBmcOwnerKind, endpoint());
        return record ? record->value : "nobody";
    }
    // As the driver does when its timer ends.
    void later() {
        clock.advance(seconds(3));
        runner->configure(settings);
        settle();
    }
};

TEST_F(SharedBmc, IsClaimedByWhoeverBegins) {
    start();
    add_job("1", "node-1");
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_NE(owner().find("gw-1"), std::string::npos) << owner();
}

TEST_F(SharedBmc, IsLeftToItsOwnerAsLongAsThatLives) {
    owned_by("gw-2");
    start();
    add_job("1", "node-1");
    settle();
    later();
    EXPECT_EQ(job("1").state, "QUEUED");
    EXPECT_TRUE(bmcs.empty());
    dies("gw-2");
    later();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_NE(owner().find("gw-1"), std::string::npos) << owner();
}

TEST_F(SharedBmc, IsNotTouchedAnyMoreOnceTheClaimIsLost) {
    start();
    add_job("1", "node-1");
    settle();
    ASSERT_EQ(job("1").state, "BOOT_WAIT");
    const auto before = bmcs["2001:db8:bc::1"].log.size();
    owned_by("gw-2");  // it took over while this one was frozen
    boot("node-1");
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_EQ(bmcs["2001:db8:bc::1"].log.size(), before);
}

TEST_F(SharedBmc, NeedsNoClaimWhereTheStateIsTheServersOwn) {
    dies("gw-1");
    dies("gw-2");
    start();
    add_job("1", "node-1");
    settle();
    EXPECT_EQ(job("1").state, "BOOT_WAIT");
    EXPECT_EQ(owner(), "nobody");
}

}  // namespace
}  // namespace nett::redfish
