#include <filesystem>
#include <stdexcept>

#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "agent/core/shell/shell.hpp"
#include "tests/unit/config/fixture.hpp"

namespace nett::test {
namespace {

namespace json = boost::json;

OpCommand op(std::string pattern, Role role, std::function<Result<Output>(CommandCall)> answer) {
    return {pattern, "help of " + pattern, {}, role, [answer](CommandCall call) -> Awaitable<Result<Output>> {
                auto result = answer(std::move(call));
                co_return result;
            }};
}

Output machines() {
    Output output;
    output.data = json::array{json::object{{"name", "node-1"}, {"state", "active"}},
                              json::object{{"name", "node-2"}, {"state", "new"}}};
    output.columns = {{"name", "Machine"}, {"state", "State"}};
    return output;
}

class ShellTest : public ::testing::Test {
protected:
    ShellTest() {
        manager_.set_running(tree(grammar_, "hostname tor-a\nplugin ra\n interval 5\n"), "boot");
        EXPECT_TRUE(shell_.add_commands({
            op("show machines", Role::kViewer, [](CommandCall) -> Result<Output> { return machines(); }),
            op("show machine {name:word:@machines}", Role::kViewer,
               [](CommandCall call) -> Result<Output> {
                   if (call.arg("name") != "node-1")
                       return fail(Code::kNotFound, "no machine \"{}\"", call.arg("name"));
                   return Output{json::object{{"name", "node-1"}, {"by", call.actor}}};
               }),
            op("machine {name:word:@machines} lock", Role::kOperator,
               [](CommandCall) -> Result<Output> { return Output(); }),
            op("machine throws", Role::kViewer,
               [](CommandCall) -> Result<Output> { throw std::runtime_error("boom"); }),
            op("steps", Role::kViewer,
               [](CommandCall call) -> Result<Output> {
                   call.emit(Output{json::value("one")});
                   call.emit(Output{json::value("two")});
                   return Output{json::value("three")};
               }),
        }));
    }

    // Runs a line; what was said, then "% " and the error.
    std::string say(std::string_view line, bool as_json = false) { return say_as("s", admin_, line, as_json); }
    std::string say_as(const std::string& session, const Caller& caller, std::string_view line, bool as_json = false) {
        std::string said;
        asio::io_context context;
        std::size_t dones = 0;
        asio::co_spawn(context,
                       shell_.execute(session, caller, std::string(line), as_json,
                                      [&](ShellReply reply) {
                                          said += reply.output;
                                          if (!reply.error.empty()) said += "% " + reply.error;
                                          dones += reply.done ? 1 : 0;
                                          if (reply.done) last_ = reply;
                                      }),
                       asio::detached);
        context.run();
        EXPECT_EQ(dones, 1U) << line;
        return said;
    }
    std::string prompt_after(std::string_view line) {
        EXPECT_EQ(say(line), "") << line;
        return last_.prompt;
    }
    // "token=help" of each completion, "+" when the line is a whole command already; placeholders in parentheses.
    std::string complete(std::string_view line, const Caller& caller) {
        const auto result = shell_.complete("s", caller, line);
        std::string out = result.complete ? "+" : "";
        for (const auto& c : result.completions)
            out += (out.empty() ? "" : " ") + (c.insertable ? c.token : "(" + c.token + ")");
        return out;
    }
    std::string complete(std::string_view line) { return complete(line, admin_); }

    Grammar grammar_ = example_grammar();
    ManualClock clock_;
    std::vector<Diagnostic> findings_;
    ConfigManager manager_{
        grammar_,
        clock_,
        (std::filesystem::temp_directory_path() / fmt::format("nett-shell-{}.conf", getpid())).string(),
        {[this](const ConfigNode&) { return findings_; },
         [](const ConfigNode&, const ConfigNode&) -> Awaitable<Result<void>> { co_return Result<void>(); }}};
    Shell shell_{grammar_,
                 manager_,
                 clock_,
                 {[this] { return manager_.running().text("hostname", "name", "host"); },
                  {{"machines", [] {
                        return std::vector<std::string>{"node-1", "node-2", "other"};
                    }}}}};
    Caller admin_{"unix:root", Role::kAdmin};
    Caller viewer_{"unix:eve", Role::kViewer};
    ShellReply last_;
};

TEST_F(ShellTest, RunsOperationalCommandsAsTextAndAsJson) {
    EXPECT_EQ(say("show machines"), "Machine  State\nnode-1   active\nnode-2   new\n");
    EXPECT_EQ(json::parse(say("show machines", true)), machines().data);
    EXPECT_EQ(json::parse(say("show machines | json")), machines().data);
    EXPECT_EQ(say("sh machine node-1"), "name: node-1\nby:   unix:root\n");
}

TEST_F(ShellTest, ReportsErrorsWithoutOutput) {
    EXPECT_EQ(say("show machine x"), "% no machine \"x\"");
    EXPECT_EQ(say("shw machines"), "% unknown command \"shw machines\"; did you mean \"show\"?");
    EXPECT_EQ(say("show"),
              "% \"show\" is not complete; expected candidate-config, commits, "
              "configuration, diff, machine, machines, running-config, tech-support");
    EXPECT_EQ(say("machine throws"), "% the command failed unexpectedly: boom");
    EXPECT_EQ(say(std::string(5000, 'x')), "% the line is longer than 4096 bytes");
}

TEST_F(ShellTest, ErrorsDoNotDriveTheTerminal) {
    EXPECT_EQ(say("show \x1b[2J"), "% the line has a control character (0x1b)");
}

TEST_F(ShellTest, AmbiguousAbbreviationNamesTheCandidates) {
    EXPECT_EQ(say("co"),
              "% \"co\" is ambiguous: \"commit\", \"configure terminal\", \"copy running-config FILE\", "
              "\"copy running-config startup-config\", \"copy startup-config candidate-config\"");
    EXPECT_EQ(prompt_after("conf t"), "tor-a(config)# ");
}

TEST_F(ShellTest, AbbreviatedPluralIsTheListUnlessANameFollows) {
    EXPECT_EQ(say("sh mach | count"), "3\n");
    EXPECT_EQ(say("sh mach node-1"), "name: node-1\nby:   unix:root\n");
}

// Waits for an interruption if it is let through, else does a change of several steps.
OpCommand waiter(std::string pattern, bool allow) {
    return {pattern, "wait", {}, Role::kViewer, [allow](CommandCall call) -> Awaitable<Result<Output>> {
                if (allow) co_await interruptible_waits();
                call.emit(Output{json::value("waiting")});
                if (allow) {
                    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
                    co_await timer.async_wait(asio::use_awaitable);
                }
                // The interruption comes between these.
                for (int step = 0; step < 3; ++step) co_await asio::post(asio::use_awaitable);
                co_return Output{json::value("finished")};
            }};
}

TEST_F(ShellTest, AnInterruptionEndsOnlyCommandsThatAllowIt) {
    ASSERT_TRUE(shell_.add_commands({waiter("follow", true), waiter("change", false)}));
    const auto interrupt = [&](std::string line) {
        std::string said;
        asio::io_context context;
        asio::cancellation_signal cancel;
        const auto reply = [&](ShellReply part) {
            said += part.output + part.error;
            if (part.output == "waiting\n") {
                asio::post(context, [&] { cancel.emit(asio::cancellation_type::terminal); });
            }
        };
        asio::co_spawn(context, shell_.execute("s", admin_, line, false, reply),
                       asio::bind_cancellation_slot(cancel.slot(), asio::detached));
        context.run();
        return said;
    };
    EXPECT_EQ(interrupt("follow"), "waiting\ninterrupted");
    EXPECT_EQ(interrupt("change"), "waiting\nfinished\n");
    EXPECT_EQ(say("show machines | count"), "3\n");
}

TEST_F(ShellTest, FiltersThroughPipes) {
    EXPECT_EQ(say("show machines | include node | exclude new"), "node-1   active\n");
    EXPECT_EQ(say("show machines | count"), "3\n");
    EXPECT_EQ(say("show machines | nonsense"),
              "% behind \"|\": unknown command \"nonsense\"; it is include, exclude, begin, section, "
              "count or json");
}

TEST_F(ShellTest, PassesProgressOnBeforeTheEnd) {
    EXPECT_EQ(say("steps"), "one\ntwo\nthree\n");
    EXPECT_EQ(say("steps | count"), "3\n");
}

TEST_F(ShellTest, EditsTheCandidateAndCommits) {
    EXPECT_EQ(prompt_after("configure terminal"), "tor-a(config)# ");
    EXPECT_EQ(prompt_after("plugin ra"), "tor-a(config-ra)# ");
    EXPECT_EQ(prompt_after("interval 9"), "tor-a(config-ra)# ");
    EXPECT_EQ(prompt_after("hostname tor-b"), "tor-a(config)# ");
    EXPECT_EQ(say("show diff"), "- hostname tor-a\n+ hostname tor-b\n  plugin ra\n-  interval 5\n+  interval 9\n");
    EXPECT_EQ(say("show running-config"), "hostname tor-a\nplugin ra\n interval 5\nexit\n!\n");
    EXPECT_EQ(say("show candidate-config | include hostname"), "hostname tor-b\n");
    EXPECT_EQ(say("commit"), "Committed as revision 2.\n");
    EXPECT_EQ(last_.prompt, "tor-b(config)# ");
    EXPECT_EQ(say("show running-config | include hostname"), "hostname tor-b\n");
    EXPECT_EQ(prompt_after("end"), "tor-b# ");
}

TEST_F(ShellTest, CommitReportsAllErrorsOfTheCheck) {
    say("configure terminal");
    say("hostname x");
    findings_ = {{Diagnostic::Severity::kError, {}, "one"}, {Diagnostic::Severity::kError, {}, "two"}};
    EXPECT_EQ(say("commit"), "% nothing was changed:\nerror: one\nerror: two");
    EXPECT_EQ(say("commit check"), "error: one\nerror: two\n");
    EXPECT_EQ(manager_.revision(), 1U);
}

TEST_F(ShellTest, ConfigurationErrorsChangeNothing) {
    say("configure terminal");
    EXPECT_EQ(say("interval 9"), "% \"interval 9\" does not belong here; it is valid in \"plugin ra\"");
    EXPECT_EQ(say("plugin ra"), "");
    EXPECT_EQ(say("interval 9999"), "% interval <1-1800>: \"9999\" is not a whole number from 1 to 1800");
    EXPECT_EQ(say("show diff"), "The candidate is the running configuration.\n");
}

TEST_F(ShellTest, ExitLeavesNodeThenConfigurationThenShell) {
    say("configure terminal");
    say("plugin ra");
    say("interface swp1");
    EXPECT_EQ(last_.prompt, "tor-a(config-ra-interface)# ");
    EXPECT_EQ(prompt_after("exit"), "tor-a(config-ra)# ");
    EXPECT_EQ(prompt_after("exit"), "tor-a(config)# ");
    EXPECT_EQ(say("exit"), "Uncommitted changes are kept; \"commit\" applies them, \"discard\" drops them.\n");
    EXPECT_EQ(say("exit"), "% there are uncommitted changes; \"commit\" or \"discard\" them, or leave with \"logout\"");
    EXPECT_FALSE(last_.exit);
    EXPECT_EQ(say("discard"), "");
    EXPECT_EQ(say("exit"), "");
    EXPECT_TRUE(last_.exit);
    EXPECT_EQ(shell_.session_count(), 0U);
}

TEST_F(ShellTest, LogoutDropsChangesAndSaysSo) {
    say("configure terminal");
    say("hostname x");
    EXPECT_EQ(say("logout"), "% uncommitted changes were dropped; \"commit\" applies them");
    EXPECT_TRUE(last_.exit);
    EXPECT_FALSE(manager_.has_candidate("s"));
}

TEST_F(ShellTest, ShowAndDoWorkWhileConfiguring) {
    say("configure terminal");
    EXPECT_EQ(say("show machines | count"), "3\n");
    EXPECT_EQ(say("do machine node-1 lock"), "");
    EXPECT_EQ(say("do show machines | count"), "3\n");
    EXPECT_EQ(say("machine node-1 lock"), "% unknown command \"machine node-1 lock\"");
}

TEST_F(ShellTest, AbbreviatedShellWordsWorkWhileConfiguring) {
    say("configure terminal");
    EXPECT_EQ(say("sh run | count"), "5\n");
    EXPECT_EQ(say("comm"), "There was nothing to commit.\n");
}

TEST_F(ShellTest, RollbackAndCommits) {
    say("configure terminal");
    say("hostname x");
    say("commit");
    EXPECT_EQ(say("show commits | exclude Rollback"),
              "0         2         2023-11-14T23:13:20Z  unix:root  confirmed\n"
              "1         1         2023-11-14T23:13:20Z  boot       confirmed\n");
    EXPECT_EQ(say("rollback 1"), "Loaded into the candidate; see \"show diff\", then \"commit\".\n");
    EXPECT_EQ(say("show diff"), "- hostname x\n+ hostname tor-a\n");
    EXPECT_EQ(say("abort"), "");
    EXPECT_EQ(last_.prompt, "x# ");
    EXPECT_EQ(say("rollback 7"), "% there are 1 earlier configurations; see \"show commits\"");
}

TEST_F(ShellTest, WriteMemorySavesTheRunningConfiguration) {
    EXPECT_EQ(say("write memory"), fmt::format("Saved to {}.\n", manager_.path()));
    EXPECT_TRUE(std::filesystem::remove(manager_.path()));
}

TEST_F(ShellTest, CommandNeedsItsRole) {
    EXPECT_EQ(say_as("v", viewer_, "show machines | count"), "3\n");
    EXPECT_EQ(last_.prompt, "tor-a> ");
    EXPECT_EQ(say_as("v", viewer_, "machine node-1 lock"),
              "% \"machine lock\" needs the role operator; unix:eve is viewer");
    EXPECT_EQ(say_as("v", viewer_, "configure terminal"),
              "% \"configure terminal\" needs the role admin; unix:eve is viewer");
    EXPECT_EQ(say_as("v", viewer_, "commit"), "% \"commit\" needs the role admin; unix:eve is viewer");
}

TEST_F(ShellTest, RoleThatWasLostWhileConfiguringIsRespected) {
    say("configure terminal");
    EXPECT_EQ(say_as("s", {"unix:root", Role::kViewer}, "hostname x"),
              "% configuring needs the role admin; unix:root is viewer");
}

TEST_F(ShellTest, SessionBelongsToWhoMadeIt) {
    say("configure terminal");
    EXPECT_EQ(say_as("s", viewer_, "show diff"), "% this session belongs to unix:root");
    EXPECT_EQ(complete("host", viewer_), "");
}

TEST_F(ShellTest, CandidatesOfSessionsAreApart) {
    say("configure terminal");
    say("hostname x");
    EXPECT_EQ(say_as("t", admin_, "show diff"), "The candidate is the running configuration.\n");
}

TEST_F(ShellTest, IdleSessionsEndAndLoseTheirCandidate) {
    say("configure terminal");
    say("hostname x");
    clock_.advance(std::chrono::minutes(61));
    EXPECT_EQ(say_as("t", admin_, "show diff"), "The candidate is the running configuration.\n");
    EXPECT_EQ(shell_.session_count(), 1U);
    EXPECT_FALSE(manager_.has_candidate("s"));
}

TEST_F(ShellTest, LongestIdleSessionMakesRoom) {
    for (int i = 0; i < 200; ++i) {
        clock_.advance(std::chrono::seconds(1));
        say_as(fmt::format("s{}", i), admin_, "");
    }
    EXPECT_EQ(shell_.session_count(), 128U);
}

TEST_F(ShellTest, SecondLineOfABusySessionIsRefused) {
    asio::io_context context;
    asio::steady_timer gate(context, asio::steady_timer::time_point::max());
    OpCommand slow{"slow", "waits", {}, Role::kViewer, [&](CommandCall) -> Awaitable<Result<Output>> {
                       boost::system::error_code opened;
                       co_await gate.async_wait(asio::redirect_error(asio::use_awaitable, opened));
                       co_return Output();
                   }};
    ASSERT_TRUE(shell_.add_commands({slow}));
    std::vector<std::string> ends;
    const auto note = [&](ShellReply reply) { ends.push_back(reply.error); };
    asio::co_spawn(context, shell_.execute("s", admin_, "slow", false, note), asio::detached);
    asio::co_spawn(context,
                   shell_.execute("s", admin_, "show diff", false,
                                  [&](ShellReply reply) {
                                      note(reply);
                                      gate.cancel();
                                  }),
                   asio::detached);
    context.run();
    EXPECT_EQ(ends, (std::vector<std::string>{
                        "this session is still running another line; wait for it, or open another one", ""}));
}

TEST_F(ShellTest, CommandsThatAreTakenOrBrokenAreRefusedAltogether) {
    const auto none = [](CommandCall) -> Result<Output> { return Output(); };
    const auto taken =
        shell_.add_commands({op("fresh", Role::kViewer, none), op("show machines", Role::kViewer, none)});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().to_string(), "command \"show machines\" is taken");
    EXPECT_EQ(say("fresh"), "% unknown command \"fresh\"");
    const auto broken = shell_.add_commands({op("show {x:colour}", Role::kViewer, none)});
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().to_string(), "command \"show {x:colour}\": unknown type \"colour\" in \"{x:colour}\"");
}

TEST_F(ShellTest, CommentsAndBlankLinesAreQuiet) {
    EXPECT_EQ(say(""), "");
    EXPECT_EQ(say("! nothing"), "");
    EXPECT_EQ(say("  # nothing "), "");
}

TEST_F(ShellTest, HelpListsTheCommandsOfTheMode) {
    EXPECT_EQ(say("help | include lock"),
              "machine NAME lock                     help of machine {name:word:@machines} lock\n");
    EXPECT_EQ(say_as("v", viewer_, "help | include lock"), "");
    say("configure terminal");
    EXPECT_EQ(say("help | include hostname"), "hostname NAME                         name of this agent\n");
}

TEST_F(ShellTest, CompletesKeywordsAndNames) {
    EXPECT_EQ(complete("sh"), "show");
    EXPECT_EQ(complete("show m"), "+ machine machines");
    EXPECT_EQ(complete("show machine "), "node-1 node-2 other (NAME)");
    EXPECT_EQ(complete("show machine no"), "+ node-1 node-2 (NAME)");
    EXPECT_EQ(complete("show machines"), "+ machines");
    EXPECT_EQ(complete("show machines "), "+");
    EXPECT_EQ(complete("show nonsense "), "");
    EXPECT_EQ(complete("show machines | "), "begin count exclude include json section");
    EXPECT_EQ(complete("show machines | inc"), "include");
    EXPECT_EQ(complete("show machines | include "), "(PATTERN...)");
}

TEST_F(ShellTest, CompletesByRole) {
    const auto shown = complete("", viewer_);
    EXPECT_EQ(shown, "exit help logout machine no quit show steps terminal write");
}

TEST_F(ShellTest, CompletesConfigurationWithChoicesAndRanges) {
    say("configure terminal");
    EXPECT_EQ(complete("log level "), "debug error info warning");
    EXPECT_EQ(complete("log level wa"), "warning");
    EXPECT_EQ(complete("plugin "), "metadata ra");
    EXPECT_EQ(complete("no plugin "), "metadata ra");
    EXPECT_EQ(complete("do show mach"), "+ machine machines");
    EXPECT_EQ(complete("show cand"), "+ candidate-config");
    say("plugin ra");
    EXPECT_EQ(complete("interval "), "(<1-1800>)");
    EXPECT_EQ(complete("a"), "abort aggregate");
    EXPECT_EQ(complete("rdnss "), "(X:X::X:X)");
    EXPECT_EQ(complete("interface swp1 "), "+");
}

TEST_F(ShellTest, CompletesCommandsOfOuterNodesWhereTheInnerOneHasNone) {
    say("configure terminal");
    say("plugin ra");
    EXPECT_EQ(complete("host"), "hostname");
    EXPECT_EQ(complete("no host"), "+ hostname");
    EXPECT_EQ(complete("log l"), "level");
}

TEST_F(ShellTest, RemovalIsCompleteWithoutValuesButNotWithoutKeys) {
    say("configure terminal");
    say("plugin ra");
    EXPECT_EQ(complete("no interval "), "+ (<1-1800>)");
    EXPECT_EQ(complete("no ports "), "(RANGE)");
}

TEST_F(ShellTest, HelpOfASharedKeywordSaysWhatMayFollow) {
    say("configure terminal");
    const auto result = shell_.complete("s", admin_, "log");
    ASSERT_EQ(result.completions.size(), 2U);
    EXPECT_EQ(result.completions[0].token, "log");
    EXPECT_EQ(result.completions[0].help, "level, format");
    EXPECT_EQ(result.completions[1].token, "logout");
}

TEST_F(ShellTest, DefaultsAreShownWithTheArgument) {
    const auto grammar = Grammar::build({{"", "interval {seconds:int:1..9}", "pause", {}, {}, "", "3"}}).value();
    ConfigManager manager(grammar, clock_, "", {});
    Shell shell(grammar, manager, clock_, {});
    asio::io_context context;
    asio::co_spawn(context, shell.execute("s", admin_, "configure terminal", false, [](const ShellReply&) {}),
                   asio::detached);
    context.run();
    const auto result = shell.complete("s", admin_, "interval ");
    ASSERT_EQ(result.completions.size(), 1U);
    EXPECT_EQ(result.completions[0].help, "pause (default 3)");
}

TEST_F(ShellTest, ShowRunningConfigAsJsonIsATree) {
    EXPECT_EQ(
        json::parse(say("show running-config", true)),
        json::parse(
            R"({"commands":[{"line":"hostname tor-a"},{"line":"plugin ra","commands":[{"line":"interval 5"}]}]})"));
}

}  // namespace
}  // namespace nett::test
