#include "plugins/bgp-anycast/decision.hpp"

#include <gtest/gtest.h>

namespace nett::anycast {
namespace {

using namespace std::chrono_literals;

using Texts = std::vector<std::string>;

constexpr auto kWithdrawn = Stance::kWithdrawn;
constexpr auto kDePreferred = Stance::kDePreferred;
constexpr auto kAnnounced = Stance::kAnnounced;

const Health kGood{{}, {}, {}, "fine"};
const Health kFailed{{"listener dead"}, {}, {}, ""};
const Health kPending{{}, {"check web"}, {}, ""};
const Health kShared{{}, {}, {"upstream gone"}, "fine"};
const Health kBoth{{"listener dead"}, {}, {"upstream gone"}, ""};

class AnycastDecision : public testing::Test {
protected:
    Stance step(const Health& health, Mode mode = Mode::kActive, const std::string& note = "") {
        clock_.advance(100ms);
        decision_.update(health, mode, note, clock_.steady_now());
        return decision_.stance();
    }
    // One more withdrawal of a flapping server.
    void flap() {
        for (clock_.advance(decision_.hold_down(clock_.steady_now())); step(kGood) != kAnnounced;) clock_.advance(1s);
        step(kFailed);
    }

    ManualClock clock_;
    Decision decision_;
};

TEST_F(AnycastDecision, DeniesByDefault) {
    EXPECT_EQ(kWithdrawn, decision_.stance());
    EXPECT_EQ("not checked yet", decision_.reason());
}

// From each stance, by each health and mode: the whole table.
TEST_F(AnycastDecision, ByHealthModeAndStance) {
    struct Row {
        const char* what;
        Health health;
        Mode mode;
        Stance from_withdrawn, from_announced;
        const char* reason;
    };
    const std::vector<Row> rows{
        {"healthy", kGood, Mode::kActive, kAnnounced, kAnnounced, "fine"},
        {"a local failure", kFailed, Mode::kActive, kWithdrawn, kWithdrawn, "listener dead"},
        {"not yet up", kPending, Mode::kActive, kWithdrawn, kAnnounced, nullptr},
        {"a shared failure never withdraws", kShared, Mode::kActive, kDePreferred, kDePreferred,
         "shared trouble, which never withdraws: upstream gone"},
        {"local counts more than shared", kBoth, Mode::kActive, kWithdrawn, kWithdrawn, "listener dead"},
        {"drain", kGood, Mode::kDrain, kDePreferred, kDePreferred, "drained by the operator: disk swap"},
        {"drain of a failed server", kFailed, Mode::kDrain, kWithdrawn, kWithdrawn, "listener dead"},
        {"drain waits for health", kPending, Mode::kDrain, kWithdrawn, kDePreferred, nullptr},
        {"drain and a shared failure", kShared, Mode::kDrain, kDePreferred, kDePreferred,
         "drained by the operator: disk swap"},
        {"maintenance", kGood, Mode::kMaintenance, kWithdrawn, kDePreferred, nullptr},
        {"maintenance of a failed server", kFailed, Mode::kMaintenance, kWithdrawn, kWithdrawn, "listener dead"},
        {"maintenance with shared trouble", kShared, Mode::kMaintenance, kWithdrawn, kDePreferred, nullptr},
    };
    for (const Row& row : rows) {
        for (Stance from : {kWithdrawn, kAnnounced}) {
            decision_ = Decision();
            decision_.set_drain_time(2s);
            if (from == kAnnounced) step(kGood);
            EXPECT_EQ(from == kWithdrawn ? row.from_withdrawn : row.from_announced,
                      step(row.health, row.mode, "disk swap"))
                << row.what << " from " << to_string(from);
            if (row.reason != nullptr) {
                EXPECT_EQ(row.reason, decision_.reason()) << row.what;
            }
        }
    }
}

TEST_F(AnycastDecision, TellsOnlyChanges) {
    EXPECT_TRUE(decision_.update(kGood, Mode::kActive, "", clock_.steady_now()));
    EXPECT_FALSE(decision_.update(kGood, Mode::kActive, "", clock_.steady_now()));
    EXPECT_TRUE(decision_.update(kShared, Mode::kActive, "", clock_.steady_now()));
    EXPECT_TRUE(decision_.update(kFailed, Mode::kActive, "", clock_.steady_now()));
}

TEST_F(AnycastDecision, MaintenanceDrainsAndThenWithdraws) {
    decision_.set_drain_time(2s);
    step(kGood);
    EXPECT_EQ(kDePreferred, step(kGood, Mode::kMaintenance, "new disk"));
    EXPECT_EQ("maintenance begins, draining: new disk", decision_.reason());
    EXPECT_EQ(clock_.steady_now() + 2s, decision_.wake(clock_.steady_now()));
    clock_.advance(1800ms);
    EXPECT_EQ(kDePreferred, step(kGood, Mode::kMaintenance));
    EXPECT_EQ(kWithdrawn, step(kGood, Mode::kMaintenance, "new disk"));
    EXPECT_EQ("maintenance: new disk", decision_.reason());
    EXPECT_EQ(std::nullopt, decision_.wake(clock_.steady_now()));
    EXPECT_EQ(kAnnounced, step(kGood));
    EXPECT_EQ(0, decision_.flaps());
}

TEST_F(AnycastDecision, ASecondMaintenanceDrainsAgain) {
    decision_.set_drain_time(2s);
    step(kGood), step(kGood, Mode::kMaintenance);
    clock_.advance(2s);
    EXPECT_EQ(kWithdrawn, step(kGood, Mode::kMaintenance));
    step(kGood);
    EXPECT_EQ(kDePreferred, step(kGood, Mode::kMaintenance));
}

TEST_F(AnycastDecision, MaintenanceWithoutADrainWithdrawsAtOnce) {
    step(kGood);
    EXPECT_EQ(kWithdrawn, step(kGood, Mode::kMaintenance));
}

TEST_F(AnycastDecision, TheFirstWithdrawalHoldsNothingDown) {
    flap();
    EXPECT_EQ(0s, decision_.hold_down(clock_.steady_now()));
    EXPECT_EQ(kAnnounced, step(kGood));
}

TEST_F(AnycastDecision, FlappingHoldsDownLongerEachTime) {
    flap();
    for (auto expected : {5s, 10s, 20s, 40s, 80s, 160s, 160s}) {
        flap();
        EXPECT_EQ(expected, decision_.hold_down(clock_.steady_now()));
        EXPECT_EQ(clock_.steady_now() + expected, decision_.wake(clock_.steady_now()));
        EXPECT_EQ(kWithdrawn, step(kGood));
        EXPECT_EQ(0u, decision_.reason().find("healthy, held down for")) << decision_.reason();
    }
}

TEST_F(AnycastDecision, HoldsDownAsLongAsItIsTold) {
    decision_.set_hold_down({3s, 7s});
    flap();
    for (auto expected : {3s, 6s, 7s, 7s}) {
        flap();
        EXPECT_EQ(expected, decision_.hold_down(clock_.steady_now()));
    }
    decision_ = Decision();
    decision_.set_hold_down({0s, 160s});
    for (int i = 0; i < 20; ++i) flap();
    EXPECT_EQ(0s, decision_.hold_down(clock_.steady_now()));
}

TEST_F(AnycastDecision, ForgivesAfterAQuietTime) {
    flap(), flap(), flap();
    while (step(kGood) != kAnnounced) clock_.advance(1s);
    clock_.advance(kFlapMemory);
    step(kFailed);
    EXPECT_EQ(0s, decision_.hold_down(clock_.steady_now()));
}

TEST_F(AnycastDecision, SharedTroubleIsNoFlap) {
    for (int i = 0; i < 5; ++i) step(kGood), step(kShared);
    EXPECT_EQ(0, decision_.flaps());
    EXPECT_EQ(kAnnounced, step(kGood));
}

TEST_F(AnycastDecision, ALostLeaseIsAWithdrawalThatWaitsForHealth) {
    step(kGood);
    decision_.lost("stood still", clock_.steady_now());
    EXPECT_EQ(kWithdrawn, decision_.stance());
    EXPECT_EQ("stood still", decision_.reason());
    EXPECT_EQ(kWithdrawn, step(kPending));
    EXPECT_EQ(kAnnounced, step(kGood));
    decision_.lost("stood still", clock_.steady_now());
    EXPECT_EQ(5s, decision_.hold_down(clock_.steady_now()));
}

}  // namespace
}  // namespace nett::anycast
