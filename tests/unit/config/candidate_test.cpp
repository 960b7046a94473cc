#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/unit/config/fixture.hpp"

namespace nett::test {
namespace {

// A folder of its own that goes with the test.
class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "nett-config-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name) const { return (path_ / name).string(); }
    std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            out.push_back(entry.path().filename().string());
        std::sort(out.begin(), out.end());
        return out;
    }

private:
    std::filesystem::path path_;
};

std::string content(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

class Manager : public ::testing::Test {
protected:
    Manager() { manager_.set_running(tree(grammar_, "hostname a\nplugin ra\n interval 5\n"), "boot"); }

    void type(const std::string& session, std::initializer_list<std::string_view> lines) {
        NodePath path;
        for (const auto line : lines) {
            const auto applied = apply_line(grammar_, manager_.candidate(session), path, line);
            ASSERT_TRUE(applied) << applied.error().to_string();
        }
    }
    // "revision N", "unchanged" or the error.
    std::string commit(const std::string& session, const std::string& actor) {
        const auto report = run(manager_.commit(session, actor));
        if (!report) return report.error().to_string();
        return report->changed ? fmt::format("revision {}", report->revision) : "unchanged";
    }
    std::string running() const { return print_config(manager_.running()); }

    Folder folder_;
    Grammar grammar_ = example_grammar();
    ManualClock clock_;
    std::vector<Diagnostic> findings_;
    std::vector<std::string> applied_;
    Result<void> apply_result_;
    ConfigActions actions_ = {[this](const ConfigNode&) { return findings_; },
                              [this](const ConfigNode& from, const ConfigNode& to) -> Awaitable<Result<void>> {
                                  applied_.push_back(diff_config(from, to));
                                  co_return apply_result_;
                              }};
    ConfigManager manager_{grammar_, clock_, folder_.file("nett.conf"), actions_};
};

TEST(Diff, ShowsChangedLinesUnderTheirNodes) {
    const auto grammar = example_grammar();
    const auto from = tree(grammar, "hostname a\nplugin ra\n interval 5\n ports swp1\n");
    const auto to =
        tree(grammar, "hostname b\nplugin ra\n interval 5\n ports swp2\nexit\nplugin metadata\n listen [::1]:443\n");
    EXPECT_EQ(diff_config(from, to),
              "- hostname a\n+ hostname b\n  plugin ra\n-  ports swp1\n+  ports swp2\n+ plugin metadata\n+  listen "
              "[::1]:443\n");
}

TEST_F(Manager, CommitAppliesAndBecomesRunning) {
    type("s", {"hostname b"});
    EXPECT_EQ(manager_.show_diff("s"), "- hostname a\n+ hostname b\n");
    EXPECT_EQ(commit("s", "unix:ann"), "revision 2");
    EXPECT_EQ(applied_, std::vector<std::string>{"- hostname a\n+ hostname b\n"});
    EXPECT_EQ(running(), "hostname b\nplugin ra\n interval 5\nexit\n!\n");
    EXPECT_FALSE(manager_.has_candidate("s"));
}

TEST_F(Manager, CommitWithoutChangesAppliesNothing) {
    EXPECT_EQ(commit("s", "unix:ann"), "unchanged");
    type("s", {"hostname a"});
    EXPECT_EQ(commit("s", "unix:ann"), "unchanged");
    EXPECT_TRUE(applied_.empty());
}

TEST_F(Manager, ErrorsOfTheCheckAreAllReportedAndNothingChanges) {
    findings_ = {{Diagnostic::Severity::kError, {}, "one"},
                 {Diagnostic::Severity::kWarning, {}, "meh"},
                 {Diagnostic::Severity::kError, {"nett.conf", 3}, "two"}};
    type("s", {"hostname b"});
    EXPECT_EQ(commit("s", "unix:ann"), "nothing was changed:\nerror: one\nnett.conf:3: error: two");
    EXPECT_TRUE(applied_.empty());
    EXPECT_EQ(manager_.revision(), 1U);
    EXPECT_TRUE(manager_.has_changes("s"));
}

TEST_F(Manager, FailedApplyKeepsTheRunningConfigurationAndTheCandidate) {
    apply_result_ = fail(Code::kUnavailable, "port taken");
    type("s", {"hostname b"});
    EXPECT_EQ(commit("s", "unix:ann"), "port taken");
    EXPECT_EQ(manager_.running().text("hostname", "name", ""), "a");
    EXPECT_TRUE(manager_.has_changes("s"));
}

TEST_F(Manager, WarningsDoNotKeepFromCommitting) {
    findings_ = {{Diagnostic::Severity::kWarning, {}, "meh"}};
    type("s", {"hostname b"});
    const auto report = run(manager_.commit("s", "unix:ann"));
    ASSERT_TRUE(report);
    ASSERT_EQ(report->warnings.size(), 1U);
    EXPECT_EQ(report->warnings[0].message, "meh");
}

TEST_F(Manager, CommitOverSomebodysNewerCommitIsRefusedUntilRebased) {
    type("ann", {"hostname b"});
    type("bob", {"plugin ra", "interval 9"});
    EXPECT_EQ(commit("bob", "unix:bob"), "revision 2");
    EXPECT_EQ(commit("ann", "unix:ann"),
              "unix:bob committed meanwhile; \"rebase\" puts your changes on top, \"discard\" drops them");
    EXPECT_TRUE(manager_.rebase("ann"));
    EXPECT_EQ(manager_.show_diff("ann"), "- hostname a\n+ hostname b\n");
    EXPECT_EQ(commit("ann", "unix:ann"), "revision 3");
    EXPECT_EQ(running(), "hostname b\nplugin ra\n interval 9\nexit\n!\n");
}

TEST_F(Manager, CandidateWithoutChangesFollowsTheRunningConfiguration) {
    manager_.candidate("ann");
    type("bob", {"hostname b"});
    EXPECT_EQ(commit("bob", "unix:bob"), "revision 2");
    type("ann", {"log level debug"});
    EXPECT_EQ(commit("ann", "unix:ann"), "revision 3");
}

TEST_F(Manager, RebaseNamesTheLinesThatBothChanged) {
    type("ann", {"plugin ra", "interval 7"});
    type("bob", {"plugin ra", "interval 9"});
    EXPECT_EQ(commit("bob", "unix:bob"), "revision 2");
    const auto rebased = manager_.rebase("ann");
    ASSERT_FALSE(rebased);
    EXPECT_EQ(rebased.error().to_string(),
              "another session changed the same lines: \"interval 7\"; \"discard\" drops your changes");
    EXPECT_TRUE(manager_.has_changes("ann"));
}

TEST_F(Manager, RebaseSeesRemovalsOfBothSides) {
    type("ann", {"no plugin ra"});
    type("bob", {"plugin ra", "interval 9"});
    EXPECT_EQ(commit("bob", "unix:bob"), "revision 2");
    EXPECT_FALSE(manager_.rebase("ann"));
    manager_.discard("ann");
    type("ann", {"plugin ra", "interval 7"});
    type("bob", {"no plugin ra"});
    EXPECT_EQ(commit("bob", "unix:bob"), "revision 3");
    EXPECT_FALSE(manager_.rebase("ann"));
}

TEST_F(Manager, SecondCommitWhileOneIsUnderWayIsRefused) {
    asio::io_context context;
    asio::steady_timer gate(context, asio::steady_timer::time_point::max());
    ConfigActions slow = actions_;
    slow.apply = [&](const ConfigNode&, const ConfigNode&) -> Awaitable<Result<void>> {
        boost::system::error_code opened;
        co_await gate.async_wait(asio::redirect_error(asio::use_awaitable, opened));
        co_return Result<void>();
    };
    ConfigManager manager(grammar_, clock_, folder_.file("nett.conf"), slow);
    NodePath path;
    ASSERT_TRUE(apply_line(grammar_, manager.candidate("ann"), path, "hostname x"));
    ASSERT_TRUE(apply_line(grammar_, manager.candidate("bob"), path, "hostname y"));
    std::vector<std::string> outcomes;
    const auto note = [&](std::exception_ptr, Result<CommitReport> r) {
        outcomes.push_back(r ? "done" : r.error().message);
    };
    asio::co_spawn(context, manager.commit("ann", "ann"), note);
    asio::co_spawn(context, manager.commit("bob", "bob"), note);
    asio::post(context, [&] { asio::post(context, [&] { gate.cancel(); }); });
    context.run();
    EXPECT_EQ(outcomes, (std::vector<std::string>{"another commit is under way; try again", "done"}));
    EXPECT_EQ(manager.running().text("hostname", "name", ""), "x");
}

TEST_F(Manager, RollbackLoadsAnEarlierConfigurationIntoTheCandidate) {
    type("s", {"hostname b"});
    commit("s", "unix:ann");
    type("s", {"hostname c"});
    commit("s", "unix:ann");
    ASSERT_TRUE(manager_.rollback("s", 2));
    EXPECT_EQ(manager_.show_diff("s"), "- hostname c\n+ hostname a\n");
    EXPECT_EQ(manager_.running().text("hostname", "name", ""), "c");
    EXPECT_EQ(commit("s", "unix:ann"), "revision 4");
    EXPECT_EQ(manager_.running().text("hostname", "name", ""), "a");
    const auto too_far = manager_.rollback("s", 9);
    ASSERT_FALSE(too_far);
    EXPECT_EQ(too_far.error().message, "there are 3 earlier configurations; see \"show commits\"");
}

TEST_F(Manager, HistoryIsBounded) {
    for (int i = 0; i < 80; ++i) {
        type("s", {fmt::format("hostname h{}", i)});
        commit("s", "unix:ann");
    }
    EXPECT_EQ(manager_.history().size(), 50U);
    EXPECT_EQ(manager_.revision(), 81U);
}

TEST_F(Manager, SaveReplacesTheFileAndKeepsTheFormerOne) {
    ASSERT_TRUE(manager_.save());
    EXPECT_EQ(content(manager_.path()), "hostname a\nplugin ra\n interval 5\nexit\n!\n");
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"nett.conf"});
    ASSERT_EQ(chmod(manager_.path().c_str(), 0600), 0);
    type("s", {"hostname b"});
    commit("s", "unix:ann");
    ASSERT_TRUE(manager_.save());
    EXPECT_EQ(folder_.names(), (std::vector<std::string>{"nett.conf", "nett.conf.sav"}));
    EXPECT_TRUE(content(manager_.path()).starts_with("hostname b\n"));
    EXPECT_TRUE(content(manager_.path() + ".sav").starts_with("hostname a\n"));
    struct stat status = {};
    ASSERT_EQ(stat(manager_.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(Manager, SaveWritesThroughALink) {
    std::ofstream(folder_.file("real.conf")) << "hostname old\n";
    std::filesystem::create_symlink(folder_.file("real.conf"), manager_.path());
    ASSERT_TRUE(manager_.save());
    EXPECT_TRUE(std::filesystem::is_symlink(manager_.path()));
    EXPECT_TRUE(content(folder_.file("real.conf")).starts_with("hostname a\n"));
}

TEST_F(Manager, SaveIntoAMissingFolderIsAnErrorWithThePath) {
    const auto written = write_config_file("/nonexistent/nett.conf", "x\n");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().to_string(),
              "/nonexistent/nett.conf: cannot create a file beside it: No such file or directory");
}

TEST_F(Manager, ReloadAppliesTheFileOrLeavesAllAsItWas) {
    std::ofstream(manager_.path()) << "hostname z\n";
    ASSERT_TRUE(run(manager_.reload("SIGHUP")));
    EXPECT_EQ(running(), "hostname z\n");
    std::ofstream(manager_.path()) << "hostname y\nhostnam z\nlog level loud\n";
    const auto broken = run(manager_.reload("SIGHUP"));
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code, Code::kFailedPrecondition);
    EXPECT_NE(broken.error().message.find(":2: error: "), std::string::npos);
    EXPECT_NE(broken.error().message.find(":3: error: "), std::string::npos);
    EXPECT_EQ(running(), "hostname z\n");
}

TEST_F(Manager, CheckDoesNotChangeAnything) {
    findings_ = {{Diagnostic::Severity::kError, {}, "one"}};
    type("s", {"hostname b"});
    EXPECT_EQ(manager_.check("s").size(), 1U);
    EXPECT_EQ(manager_.running().text("hostname", "name", ""), "a");
}

}  // namespace
}  // namespace nett::test
