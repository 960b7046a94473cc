// What of the shell is about commits, sections, and the client's own files.
#include <filesystem>

#include <unistd.h>

#include <boost/asio/detached.hpp>
#include <boost/json/parse.hpp>

#include "agent/core/shell/shell.hpp"
#include "tests/unit/config/fixture.hpp"

namespace nett::test {
namespace {

class Commands : public ::testing::Test {
protected:
    Commands() {
        manager_.set_running(tree(grammar_, "hostname tor-a\nlog level info\nplugin ra\n interval 5\n"), "boot");
        EXPECT_TRUE(shell_.add_commands(
            {{"show secrets",
              "h",
              {},
              Role::kViewer,
              [](CommandCall) -> Awaitable<Result<Output>> {
                  co_return Output{boost::json::object{{"password", "hunter2"}}};
              }},
             {"show broken",
              "h",
              {},
              Role::kViewer,
              [](CommandCall) -> Awaitable<Result<Output>> { co_return fail(Code::kUnavailable, "not now"); }},
             {"show one {name:word}", "h", {}, Role::kViewer, [](CommandCall) -> Awaitable<Result<Output>> {
                  co_return Output();
              }}}));
    }

    std::string say(std::string_view line, const Caller& caller = {"unix:root", Role::kAdmin},
                    bool interactive = false) {
        std::string said;
        action_.reset();
        asio::io_context context;
        asio::co_spawn(context,
                       shell_.execute(
                           "s-" + caller.actor, caller, std::string(line), false,
                           [&](const ShellReply& reply) {
                               if (reply.action) {
                                   EXPECT_EQ(said, "") << "the action comes first";
                                   action_ = reply.action;
                               }
                               said += reply.output;
                               if (!reply.error.empty()) said += "% " + reply.error;
                           },
                           [] { return false; }, interactive),
                       asio::detached);
        context.run();
        return said;
    }
    std::string action_after(std::string_view line) {
        const auto said = say(line);
        if (!action_) return "none: " + said;
        return fmt::format("{} {} {} {}", static_cast<int>(action_->kind), action_->file, action_->artifacts,
                           action_->length);
    }

    Grammar grammar_ = example_grammar();
    ManualClock clock_;
    ConfigManager manager_{
        grammar_,
        clock_,
        (std::filesystem::temp_directory_path() / fmt::format("nett-commands-{}.conf", getpid())).string(),
        {[](const ConfigNode&) { return std::vector<Diagnostic>(); },
         [](const ConfigNode&, const ConfigNode&) -> Awaitable<Result<void>> { co_return Result<void>(); }}};
    Shell shell_{grammar_, manager_, clock_, {[] { return std::string("tor-a"); }}};
    std::optional<ClientAction> action_;
};

TEST_F(Commands, RunningConfigurationBySection) {
    EXPECT_EQ(say("show running-config ra"), "plugin ra\n interval 5\nexit\n!\n");
    EXPECT_EQ(say("show running-config log"), "log level info\n");
    EXPECT_EQ(say("show running-config rb"), "% nothing is configured as \"rb\"; there are: hostname, log, ra");
    const auto completions = shell_.complete("", {"unix:root", Role::kAdmin}, "show running-config ");
    ASSERT_EQ(completions.completions.size(), 4U);
    EXPECT_EQ(completions.completions[2].token, "ra");
}

TEST_F(Commands, CommitConfirmedSaysWhenItIsTakenBackAndCommitConfirms) {
    say("configure terminal");
    say("hostname b");
    EXPECT_EQ(say("commit confirmed 5"),
              "Committed as revision 2. It is taken back at 2023-11-14T23:18:20Z unless \"commit\" confirms it.\n");
    EXPECT_EQ(
        say("show configuration commit | include taken"),
        "0         2         2023-11-14T23:13:20Z  unix:root  taken back at 2023-11-14T23:18:20Z unless confirmed\n");
    EXPECT_EQ(say("write memory"), "% revision 2 waits for its confirmation; \"commit\" confirms it, then save it");
    EXPECT_EQ(say("commit confirmed 10"), "Revision 2 now waits until 2023-11-14T23:23:20Z.\n");
    EXPECT_EQ(say("commit"), "Revision 2 is confirmed.\n");
    EXPECT_EQ(say("commit"), "There was nothing to commit.\n");
    EXPECT_EQ(say("commit confirmed 0").substr(0, 1), "%");
}

TEST_F(Commands, DifferenceToAnEarlierCommit) {
    say("configure terminal");
    say("hostname b");
    say("commit");
    EXPECT_EQ(say("show diff 1"), "- hostname tor-a\n+ hostname b\n");
    EXPECT_EQ(say("show diff 0"), "That is the running configuration.\n");
    EXPECT_EQ(say("show diff 9"), "% there are 1 earlier configurations; see \"show commits\"");
}

TEST_F(Commands, FilesAndTerminalAreTheClients) {
    EXPECT_EQ(action_after("backup /tmp/x.tar"), "1 /tmp/x.tar true 0");
    EXPECT_EQ(action_after("backup x without-artifacts"), "1 x false 0");
    EXPECT_EQ(action_after("tech-support x.tgz"), "2 x.tgz true 0");
    EXPECT_EQ(action_after("terminal length 0"), "3  true 0");
    EXPECT_EQ(action_after("term len 40"), "3  true 40");
    EXPECT_EQ(action_after("copy run ./here"), "0 ./here true 0");
    EXPECT_NE(say("copy running-config x").find("hostname tor-a\n"), std::string::npos);
}

TEST_F(Commands, FilesOfTheClientNeedTheRoleThatTheirContentNeeds) {
    const Caller viewer{"unix:eve", Role::kViewer};
    for (const auto* line : {"backup x", "tech-support x", "copy running-config x"}) {
        EXPECT_EQ(say(line, viewer).substr(0, 1), "%") << line;
        EXPECT_FALSE(action_) << line;
    }
}

TEST_F(Commands, CopyToTheStartupFileByAnyNameOfIt) {
    for (const auto* line : {"copy running-config startup-config", "copy run start", "write", "wr mem"}) {
        EXPECT_EQ(say(line), fmt::format("Saved to {}.\n", manager_.path()));
        EXPECT_TRUE(std::filesystem::remove(manager_.path())) << line;
    }
}

TEST_F(Commands, StartupFileCanBeLoadedIntoTheCandidate) {
    say("write memory");
    say("configure terminal");
    say("hostname b");
    say("commit");
    say("end");
    EXPECT_EQ(say("copy startup-config candidate-config"),
              "Loaded into the candidate; see \"show diff\", then \"commit\".\n");
    EXPECT_EQ(say("show diff"), "- hostname b\n+ hostname tor-a\n");
    std::filesystem::remove(manager_.path());
    EXPECT_NE(say("copy startup-config candidate-config").find("No such file"), std::string::npos);
}

TEST_F(Commands, TechSupportSaysWhatEveryShowSaysWithoutSecrets) {
    const auto said = say("show tech-support");
    EXPECT_NE(said.find("------ show running-config ------\nhostname tor-a\n"), std::string::npos);
    EXPECT_NE(said.find("------ show secrets ------\npassword: [redacted]\n"), std::string::npos) << said;
    EXPECT_NE(said.find("------ show broken ------\n% not now\n"), std::string::npos);
    EXPECT_EQ(said.find("hunter2"), std::string::npos);
    EXPECT_EQ(said.find("show one"), std::string::npos);
}

TEST_F(Commands, QuitLeavesAsExitDoes) {
    say("configure terminal");
    EXPECT_EQ(say("quit"), "");
    EXPECT_EQ(say("quit"), "");
    EXPECT_EQ(shell_.session_count(), 0U);
}

TEST_F(Commands, AMonitorAtAPromptIsTheClientsToRunBesideIt) {
    ASSERT_TRUE(shell_.add_commands(
        {{"terminal monitor {type:word}", "h", {}, Role::kViewer, [](CommandCall call) -> Awaitable<Result<Output>> {
              co_return Output{boost::json::value(call.arg("type"))};
          }}}));
    EXPECT_NE(say("term mon machine").find("machine"), std::string::npos) << "a script gets what it says";
    EXPECT_FALSE(action_);
    EXPECT_EQ(say("term mon machine | include x", {"unix:root", Role::kAdmin}, true), "");
    ASSERT_TRUE(action_);
    EXPECT_EQ(action_->kind, ClientAction::Kind::kMonitor);
    EXPECT_EQ(action_->line, "term mon machine | include x");
    EXPECT_EQ(say("terminal monitor machine | nonsense", {"unix:root", Role::kAdmin}, true).substr(0, 2), "% ");
    EXPECT_EQ(say("no terminal monitor", {"unix:root", Role::kAdmin}, true), "");
    ASSERT_TRUE(action_);
    EXPECT_EQ(action_->line, "");
}

}  // namespace
}  // namespace nett::test
