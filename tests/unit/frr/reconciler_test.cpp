#include "agent/frr/reconciler.hpp"

#include <atomic>
#include <mutex>

#include <gtest/gtest.h>
#include <boost/asio/executor_work_guard.hpp>

namespace nett {
namespace {

const PrefixListEntry kEntry{"GATE", 5, true, Prefix6::parse("2001:db8:ffff::1/128").value()};
const EntryKey kKey{"GATE", 5};

// A bgpd in memory. The reconciler's worker calls it; the tests touch it between rounds only.
class FakeBackend final : public FrrBackend {
public:
    std::string_view name() const override { return "fake"; }
    Result<bool> probe_hardened() override {
        ++probes;
        if (down) return fail(Code::kUnavailable, "connection refused");
        return hardened;
    }
    Result<RaTable> read_ra() override { return RaTable{}; }
    Result<void> apply_ra(const RaChange&) override { return {}; }
    bool connection_lost() const override { return lost; }
    Result<PrefixListTable> read_prefix_lists(const std::set<std::string>&) override {
        std::lock_guard answer(held);
        if (down) return fail(Code::kUnavailable, "connection refused");
        return table;
    }
    Result<void> apply_prefix_lists(const PrefixListChange& change) override {
        if (refuse) return fail(Code::kInvalidArgument, "no");
        ++applied;
        for (const EntryKey& key : change.remove) table.erase(key);
        for (const PrefixListEntry& entry : change.put) table[{entry.list, entry.sequence}] = entry;
        return {};
    }
    void cancel() override {}

    std::mutex held;  // a test that holds it makes the daemon hang
    std::atomic<bool> lost = false;
    PrefixListTable table;
    bool down = false;
    bool refuse = false;
    bool hardened = true;
    int probes = 0;
    int applied = 0;
};

class FakeWork final : public FrrWork {
public:
    bool wanted() const override { return used; }
    FrrRead reader() override {
        return [](FrrBackend& backend) -> Result<FrrActual> {
            auto table = backend.read_prefix_lists({"GATE"});
            if (!table) return fail(std::move(table.error()));
            return FrrActual(std::move(*table));
        };
    }
    Plan plan(const FrrActual& actual) override {
        auto change = plan_prefix_lists(desired, {}, std::get<PrefixListTable>(actual));
        if (change.empty()) return {};
        return {[change](FrrBackend& backend) { return backend.apply_prefix_lists(change); },
                {{FrrDaemon::kBgpd, "GATE", "missing", {}}}};
    }
    void settled() override { ++times_settled; }

    DeclaredEntries desired;
    bool used = false;
    int times_settled = 0;
};

class ReconcilerTest : public testing::Test {
protected:
    void SetUp() override {
        reconciler_ = make_reconciler(std::chrono::milliseconds(1));
        reconciler_->use(backend_);
    }
    void TearDown() override { reconciler_->stop(); }

    std::shared_ptr<Reconciler> make_reconciler(std::chrono::milliseconds in_sync) {
        return std::make_shared<Reconciler>(
            loop_.get_executor(), clock_, work_,
            [this](const FrrDaemonStatus&, const std::vector<FrrDrift>& repaired) {
                ++rounds_;
                repaired_ = repaired;
            },
            ReconcileIntervals{in_sync, std::chrono::milliseconds(1), std::chrono::milliseconds(1),
                               std::chrono::milliseconds(20), std::chrono::seconds(10)});
    }

    void declare(bool permit) {
        PrefixListEntry entry = kEntry;
        entry.permit = permit;
        work_.desired = {{kKey, entry}};
        work_.used = true;
        reconciler_->declared();
    }
    // Runs the loop for one more round.
    void round() {
        int target = rounds_ + 1;
        auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (rounds_ < target && std::chrono::steady_clock::now() < end) loop_.run_one_for(std::chrono::seconds(1));
        ASSERT_GE(rounds_, target) << "no round within ten seconds";
    }
    const FrrDaemonStatus& status() { return reconciler_->status(); }

    asio::io_context loop_;
    asio::executor_work_guard<asio::io_context::executor_type> work_guard_{loop_.get_executor()};
    ManualClock clock_;
    FakeWork work_;
    std::shared_ptr<FakeBackend> backend_ = std::make_shared<FakeBackend>();
    int rounds_ = 0;
    std::vector<FrrDrift> repaired_;
    std::shared_ptr<Reconciler> reconciler_;
};

TEST_F(ReconcilerTest, DoesNothingWhileNothingIsDeclared) {
    loop_.poll();
    EXPECT_EQ(0, backend_->probes);
    EXPECT_FALSE(status().configured);
}

TEST_F(ReconcilerTest, ProgramsADeclarationAtOnce) {
    declare(true);
    EXPECT_FALSE(status().in_sync);
    round();
    EXPECT_TRUE(status().in_sync);
    EXPECT_TRUE(status().connected);
    EXPECT_EQ("fake", status().backend);
    EXPECT_EQ(kEntry, backend_->table[kKey]);
    EXPECT_EQ(0u, status().repairs);
    EXPECT_EQ(1, work_.times_settled);
}

TEST_F(ReconcilerTest, RepairsDriftAtTheNextRound) {
    declare(true);
    round();
    backend_->table.clear();
    round();
    EXPECT_EQ(kEntry, backend_->table[kKey]);
    EXPECT_EQ(1u, status().repairs);
    ASSERT_EQ(1u, repaired_.size());
    EXPECT_EQ("GATE", repaired_[0].subject);
}

TEST_F(ReconcilerTest, SaysThatADaemonHangsWhileTheCallGoesOn) {
    backend_->held.lock();
    declare(true);
    round();
    EXPECT_FALSE(status().connected);
    EXPECT_NE(std::string::npos, status().error.find("has not answered for 20 ms"));
    backend_->held.unlock();
    round();
    EXPECT_TRUE(status().connected);
    EXPECT_TRUE(status().in_sync);
}

TEST_F(ReconcilerTest, ALostConnectionIsAReasonToLookAtOnce) {
    reconciler_->stop();
    reconciler_ = make_reconciler(std::chrono::hours(1));
    reconciler_->use(backend_);
    declare(true);
    round();
    backend_->table.clear();
    backend_->lost = true;
    round();
    EXPECT_EQ(kEntry, backend_->table[kKey]);
}

TEST_F(ReconcilerTest, SaysWhyItIsNotConnectedAndRecovers) {
    backend_->down = true;
    declare(true);
    round();
    EXPECT_FALSE(status().connected);
    EXPECT_FALSE(status().in_sync);
    EXPECT_EQ("connection refused", status().error);
    backend_->down = false;
    backend_->hardened = false;
    round();
    EXPECT_TRUE(status().in_sync);
    EXPECT_FALSE(status().hardened);
    EXPECT_EQ("", status().error);
}

TEST_F(ReconcilerTest, ProbesOncePerConnection) {
    declare(true);
    round();
    round();
    EXPECT_EQ(1, backend_->probes);
    backend_->down = true;
    round();
    backend_->down = false;
    round();
    EXPECT_EQ(2, backend_->probes);
}

TEST_F(ReconcilerTest, ARefusalIsNotADisconnection) {
    backend_->refuse = true;
    declare(true);
    round();
    EXPECT_TRUE(status().connected);
    EXPECT_FALSE(status().in_sync);
    EXPECT_EQ("no", status().error);
}

TEST_F(ReconcilerTest, ADeclarationDuringARoundIsNotLost) {
    declare(true);
    declare(false);
    round();
    if (!status().in_sync) round();
    EXPECT_FALSE(backend_->table[kKey]->permit);
}

TEST_F(ReconcilerTest, StopProgramsWhatWasDeclaredLast) {
    declare(true);
    round();
    declare(false);
    reconciler_->stop();
    EXPECT_FALSE(backend_->table[kKey]->permit);
}

TEST_F(ReconcilerTest, WithoutABackendItSaysWhy) {
    reconciler_->use(nullptr, "not configured");
    declare(true);
    EXPECT_FALSE(status().connected);
    EXPECT_EQ("not configured", status().error);
}

}  // namespace
}  // namespace nett
