// Commits on disk, and a commit that waits for its confirmation, over restarts.
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/config/fixture.hpp"

namespace nett::test {
namespace {

using std::chrono::minutes;

class Confirm : public ::testing::Test {
protected:
    Confirm() {
        std::string name = (std::filesystem::temp_directory_path() / "nett-confirm-XXXXXX").string();
        folder_ = mkdtemp(name.data());
        start("hostname a\n");
    }
    ~Confirm() override { std::filesystem::remove_all(folder_); }

    std::string commits() const { return folder_ + "/commits"; }
    CommitLog log() { return CommitLog::open(commits()).value(); }
    // As the agent's start does, with what is in force from then on.
    void start(const std::string& text) {
        manager_.reset();
        manager_ = std::make_unique<ConfigManager>(grammar_, clock_, folder_ + "/nett.conf", actions_, log());
        manager_->set_running(tree(grammar_, text), "file");
    }
    void type(std::string_view line) {
        NodePath path;
        ASSERT_TRUE(apply_line(grammar_, manager_->candidate("s"), path, line));
    }
    CommitReport commit(std::optional<minutes> within = std::nullopt) {
        auto report = run(manager_->commit("s", "unix:ann", within));
        EXPECT_TRUE(report) << report.error().to_string();
        return report.value_or(CommitReport{});
    }
    bool taken_back() {
        const auto taken = run(manager_->take_back_unconfirmed());
        EXPECT_TRUE(taken) << taken.error().to_string();
        return taken.value_or(false);
    }
    std::string running() const { return print_config(manager_->running()); }

    std::string folder_;
    Grammar grammar_ = example_grammar();
    ManualClock clock_;
    Result<void> apply_result_;
    ConfigActions actions_ = {
        [](const ConfigNode&) { return std::vector<Diagnostic>(); },
        [this](const ConfigNode&, const ConfigNode&) -> Awaitable<Result<void>> { co_return apply_result_; }};
    std::unique_ptr<ConfigManager> manager_;
};

TEST_F(Confirm, NobodyConfirmsAndItIsTakenBack) {
    type("hostname b");
    const auto report = commit(minutes(5));
    EXPECT_TRUE(report.changed);
    EXPECT_EQ(report.deadline, clock_.system_now() + minutes(5));
    EXPECT_EQ(running(), "hostname b\n");
    clock_.advance(minutes(5) - std::chrono::seconds(1));
    EXPECT_FALSE(taken_back());
    clock_.advance(std::chrono::seconds(1));
    EXPECT_TRUE(taken_back());
    EXPECT_EQ(running(), "hostname a\n");
    EXPECT_FALSE(manager_->waiting());
    EXPECT_EQ(manager_->history().front().actor, "system: unix:ann did not confirm");
    EXPECT_FALSE(taken_back());
}

TEST_F(Confirm, CommitConfirms) {
    type("hostname b");
    commit(minutes(5));
    const auto report = commit();
    EXPECT_TRUE(report.confirmed);
    EXPECT_FALSE(report.changed);
    clock_.advance(minutes(6));
    EXPECT_FALSE(taken_back());
    EXPECT_EQ(running(), "hostname b\n");
}

TEST_F(Confirm, CommitOfMoreChangesConfirmsTheFirstOnes) {
    type("hostname b");
    commit(minutes(5));
    type("log level debug");
    EXPECT_TRUE(commit().confirmed);
    clock_.advance(minutes(6));
    EXPECT_FALSE(taken_back());
}

TEST_F(Confirm, SecondConfirmedCommitGoesBackToBeforeTheFirst) {
    type("hostname b");
    commit(minutes(5));
    clock_.advance(minutes(4));
    type("hostname c");
    commit(minutes(5));
    clock_.advance(minutes(4));
    EXPECT_FALSE(taken_back());
    EXPECT_EQ(commit(minutes(5)).deadline, clock_.system_now() + minutes(5));  // without changes: waits longer
    clock_.advance(minutes(5));
    EXPECT_TRUE(taken_back());
    EXPECT_EQ(running(), "hostname a\n");
}

TEST_F(Confirm, CommitThatCannotBeAppliedLeavesNothingWaiting) {
    apply_result_ = fail(Code::kUnavailable, "no");
    type("hostname b");
    EXPECT_FALSE(run(manager_->commit("s", "unix:ann", minutes(5))));
    EXPECT_FALSE(manager_->waiting());
    EXPECT_FALSE(log().unconfirmed().value().has_value());
}

TEST_F(Confirm, CannotBeSavedBeforeItIsConfirmed) {
    type("hostname b");
    commit(minutes(5));
    const auto saved = manager_->save();
    ASSERT_FALSE(saved);
    EXPECT_NE(saved.error().message.find("\"commit\" confirms it"), std::string::npos);
    commit();
    EXPECT_TRUE(manager_->save());
}

TEST_F(Confirm, GoesOnWaitingAfterARestart) {
    type("hostname b");
    commit(minutes(5));
    clock_.advance(minutes(2));
    start("hostname b\n");  // what agent/commits.cpp makes of it
    ASSERT_TRUE(manager_->waiting());
    EXPECT_EQ(manager_->history().size(), 2U);
    clock_.advance(minutes(2));
    EXPECT_FALSE(taken_back());
    clock_.advance(minutes(1));
    EXPECT_TRUE(taken_back());
    EXPECT_EQ(running(), "hostname a\n");
}

TEST_F(Confirm, IsTriedOnWhenItCannotBeTakenBackYet) {
    type("hostname b");
    commit(minutes(5));
    clock_.advance(minutes(5));
    apply_result_ = fail(Code::kUnavailable, "not now");
    EXPECT_FALSE(run(manager_->take_back_unconfirmed()));
    EXPECT_TRUE(manager_->waiting());
    apply_result_ = {};
    EXPECT_TRUE(taken_back());
}

TEST_F(Confirm, HistoryIsThereAfterARestart) {
    type("hostname b");
    commit();
    type("hostname c");
    commit();
    start("hostname c\n");
    EXPECT_EQ(manager_->revision(), 3U);
    EXPECT_EQ(manager_->history().at(1).actor, "unix:ann");
    ASSERT_TRUE(manager_->rollback("s", 2));
    EXPECT_EQ(manager_->show_diff("s"), "- hostname c\n+ hostname a\n");
    EXPECT_EQ(manager_->show_diff(2).value(), "- hostname a\n+ hostname c\n");
    EXPECT_EQ(commit().revision, 4U);
}

TEST_F(Confirm, StartWithAnotherFileIsACommitOfItsOwn) {
    start("hostname z\n");
    EXPECT_EQ(manager_->revision(), 2U);
    ASSERT_TRUE(manager_->rollback("s", 1));
    EXPECT_EQ(manager_->show_diff("s"), "- hostname z\n+ hostname a\n");
}

TEST_F(Confirm, EarlierConfigurationThatIsNotKnownAnyMoreIsRefusedWithItsLines) {
    std::ofstream(commits() + "/7.conf") << "! revision 7\n! actor unix:ann\nplugin gone\n";
    start("hostname a\n");
    const auto refused = manager_->rollback("s", 1);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("revision 7:1"), std::string::npos) << refused.error().message;
}

TEST_F(Confirm, LogIsBoundedAndPrivate) {
    for (int i = 0; i < 60; ++i) {
        type(fmt::format("hostname h{}", i));
        commit();
    }
    EXPECT_EQ(log().load().size(), kKeptCommits);
    EXPECT_EQ(static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(commits()), {})),
              kKeptCommits);
    struct stat info = {};
    ASSERT_EQ(::stat((commits() + "/61.conf").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    ASSERT_EQ(::stat(commits().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(Confirm, CommitThatCannotBeKeptIsInForceAndSaysSo) {
    std::filesystem::remove_all(commits());
    type("hostname b");
    const auto report = commit();
    ASSERT_EQ(report.warnings.size(), 1U);
    EXPECT_NE(report.warnings[0].message.find("not kept for \"rollback\""), std::string::npos);
    EXPECT_EQ(running(), "hostname b\n");
    type("hostname c");
    // What could not be taken back is not begun.
    EXPECT_FALSE(run(manager_->commit("s", "unix:ann", minutes(5))));
    EXPECT_EQ(running(), "hostname b\n");
}

TEST_F(Confirm, FileThatMakesNoSenseIsAnErrorWithTheRemedy) {
    std::ofstream(commits() + "/unconfirmed") << "{\"revision\": 1}";
    const auto pending = log().unconfirmed();
    ASSERT_FALSE(pending);
    EXPECT_NE(pending.error().message.find("remove it"), std::string::npos);
}

}  // namespace
}  // namespace nett::test
