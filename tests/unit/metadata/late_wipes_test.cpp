// An order to wipe whose write is not answered in time, with a state that several servers share.
#include "plugins/metadata/late_wipes.hpp"

#include "agent/sdk/servers.hpp"
#include "tests/unit/metadata/service_fixture.hpp"

namespace nett::metadata::test {
namespace {

class LateWipe : public ServiceTest {
protected:
    LateWipe() {
        store.put({std::string(kServerKind), "meta-2", "{}"});
        auto machine = node(MachineState::kReprovision);
        machine.wipe_pending = true;
        enrol(machine);
    }
    // The machine asks, and its write is not answered.
    void boot_unanswered() {
        store.commit_fault = Error{Code::kUnavailable, "no quorum", {}};
        EXPECT_EQ(boot().status, 404U);
        store.commit_fault.reset();
        clock_.advance(std::chrono::seconds(30));
    }
    void settle() {
        context_.restart();
        context_.poll();
    }
    bool serves_wipe() { return boot().body.find("talos.experimental.wipe=system") != std::string::npos; }
};

TEST_F(LateWipe, ThatIsStoredThoughItsBootWentToTheDiskIsOrderedAgain) {
    boot_unanswered();
    store.land();
    EXPECT_FALSE(stored().wipe_pending);
    settle();
    EXPECT_EQ(stored().state, MachineState::kReprovision);
    EXPECT_TRUE(stored().wipe_pending);
    EXPECT_EQ(events_.count("machine.wipe-restored"), 1);
    EXPECT_TRUE(serves_wipe());
    settle();
    EXPECT_FALSE(serves_wipe());  // once
    EXPECT_EQ(events_.count("machine.wipe-restored"), 1);
}

TEST_F(LateWipe, ThatWasNeverStoredIsServedOnce) {
    boot_unanswered();
    settle();
    EXPECT_TRUE(serves_wipe());
    settle();
    store.land();  // too late: the machine has changed, to the very text that this write has
    settle();
    EXPECT_FALSE(serves_wipe());
    EXPECT_EQ(stored().state, MachineState::kProvisioning);
    EXPECT_FALSE(events_.has("machine.wipe-restored"));
}

TEST_F(LateWipe, GivesWayToWhatAnOperatorOrdersMeanwhileAndSaysSo) {
    boot_unanswered();
    store.land();
    auto machine = stored();
    machine.state = MachineState::kMaintenance;
    store.put(put_of(machine));
    settle();
    EXPECT_EQ(stored().state, MachineState::kMaintenance);
    EXPECT_EQ(events_.count("machine.wipe-lost"), 1);
}

TEST_F(LateWipe, StaysInDoubtUntilItCanBeOrderedAgain) {
    boot_unanswered();
    store.land();
    store.commit_fault = Error{Code::kUnavailable, "no quorum", {}};
    settle();
    EXPECT_FALSE(stored().wipe_pending);
    store.commit_fault.reset();
    run(context_, with_result(late_wipes_.stop()));
    late_wipes_.start();  // instead of the second that it waits
    settle();
    EXPECT_TRUE(serves_wipe());
}

}  // namespace
}  // namespace nett::metadata::test
