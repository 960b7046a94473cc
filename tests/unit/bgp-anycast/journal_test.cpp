#include "plugins/bgp-anycast/journal.hpp"

#include <gtest/gtest.h>
#include <boost/asio/detached.hpp>

#include "tests/unit/support/memory_store.hpp"

namespace nett::anycast {
namespace {

class AnycastJournal : public testing::Test {
protected:
    template <typename Task>
    void run(Task task) {
        asio::co_spawn(loop_, std::move(task), asio::detached);
        loop_.restart();
        loop_.run();
    }
    void record(const std::string& reason) {
        journal_.record({SystemTime(std::chrono::seconds(1)), "announced", reason});
        loop_.restart();
        loop_.run();
    }

    asio::io_context loop_;
    test::MemoryStore store_;
    Journal journal_{loop_.get_executor(), store_};
};

TEST_F(AnycastJournal, KeepsTheModeAcrossARestart) {
    Result<void> set;
    ModeRecord mode{Mode::kMaintenance, "new disk", "unix:root", SystemTime(std::chrono::seconds(7))};
    auto task = [&]() -> Awaitable<void> { set = co_await journal_.set_mode(mode); };
    run(task());
    ASSERT_TRUE(set);
    EXPECT_EQ("anycast maintenance: new disk", store_.log.back().reason);
    Journal after(loop_.get_executor(), store_);
    after.load();
    EXPECT_EQ(Mode::kMaintenance, after.mode().mode);
    EXPECT_EQ("new disk", after.mode().note);
    EXPECT_EQ("unix:root", after.mode().actor);
    EXPECT_EQ(SystemTime(std::chrono::seconds(7)), after.mode().since);
}

TEST_F(AnycastJournal, AModeThatIsNotOnDiskIsNotInForce) {
    store_.commit_fault = Error{Code::kUnavailable, "disk full", {}};
    Result<void> set;
    ModeRecord mode{Mode::kDrain, "", "", {}};
    auto task = [&]() -> Awaitable<void> { set = co_await journal_.set_mode(mode); };
    run(task());
    EXPECT_FALSE(set);
    EXPECT_EQ(Mode::kActive, journal_.mode().mode);
}

TEST_F(AnycastJournal, AnUnreadableModeIsMaintenance) {
    for (const char* text : {"", "{}", "[1]", "{\"mode\":\"asleep\",\"since_ms\":1}", "{\"mode\":7}"}) {
        store_.put({kAnycastKind, "mode", text});
        journal_.load();
        EXPECT_EQ(*text == 0 ? Mode::kActive : Mode::kMaintenance, journal_.mode().mode) << text;
    }
}

TEST_F(AnycastJournal, KeepsABoundedHistory) {
    for (std::size_t i = 0; i < kHistoryLength + 5; ++i) record(std::to_string(i));
    Journal after(loop_.get_executor(), store_);
    after.load();
    ASSERT_EQ(kHistoryLength, after.history().size());
    EXPECT_EQ("5", after.history().front().reason);
    EXPECT_EQ(std::to_string(kHistoryLength + 4), after.history().back().reason);
    EXPECT_EQ("announced", after.history().back().state);
}

TEST_F(AnycastJournal, WritesABurstOnce) {
    for (int i = 0; i < 10; ++i) journal_.record({{}, "withdrawn", "x"});
    loop_.run();
    EXPECT_EQ(1u, store_.log.size());
}

TEST_F(AnycastJournal, ADamagedHistoryBeginsAnew) {
    store_.put({kAnycastKind, "history", "{\"entries\":[{\"time_ms\":\"soon\"}]}"});
    journal_.load();
    EXPECT_TRUE(journal_.history().empty());
}

}  // namespace
}  // namespace nett::anycast
