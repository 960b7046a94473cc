// The program nettsh against a fake agent: its exit status, its messages, and its keys on a pseudo terminal.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cli/completer.hpp"
#include "tests/unit/shell/fake_agent.hpp"

namespace nett::test {
namespace {

using Lines = std::vector<std::string>;

std::string read_all(int fd) {
    std::string out;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(fd, buffer, sizeof(buffer))) > 0;)
        out.append(buffer, static_cast<std::size_t>(got));
    close(fd);
    return out;
}

// In the child: becomes nettsh. The path comes from meson.
[[noreturn]] void become_nettsh(const Lines& arguments) {
    std::vector<std::string> words = {NETTSH};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execv(NETTSH, argv.data());
    _exit(126);
}

// A run of nettsh with pipes.
class Process {
public:
    explicit Process(const Lines& arguments, const std::string& input = {}) {
        int in[2], out[2], err[2];
        if (pipe(in) != 0 || pipe(out) != 0 || pipe(err) != 0) std::abort();
        pid_ = fork();
        if (pid_ == 0) {
            dup2(in[0], 0);
            dup2(out[1], 1);
            dup2(err[1], 2);
            for (const int fd : {in[0], in[1], out[0], out[1], err[0], err[1]}) close(fd);
            become_nettsh(arguments);
        }
        for (const int fd : {in[0], out[1], err[1]}) close(fd);
        EXPECT_EQ(write(in[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
        close(in[1]);
        out_ = out[0];
        err_ = err[0];
    }

    // Waits for the first line of the output.
    std::string first_line() const {
        std::string line;
        for (char c = 0; c != '\n' && read(out_, &c, 1) == 1;) line += c;
        return line;
    }

    void interrupt() const { kill(pid_, SIGINT); }

    // Waits for the end; the exit status.
    int end() {
        output = read_all(out_);
        errors = read_all(err_);
        int status = 0;
        waitpid(pid_, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    std::string output;
    std::string errors;

private:
    pid_t pid_ = -1;
    int out_ = -1;
    int err_ = -1;
};

// nettsh on a pseudo terminal of 10 lines.
class Terminal {
public:
    explicit Terminal(const FakeAgent& agent) {
        winsize size = {};
        size.ws_row = 10;
        size.ws_col = 100;
        pid_ = forkpty(&fd_, nullptr, nullptr, &size);
        if (pid_ == 0) {
            setenv("TERM", "xterm", 1);
            setenv("HOME", agent.folder().c_str(), 1);
            setenv("PAGER", "sed -n '1s/^/paged /p'", 1);
            become_nettsh({"-s", agent.socket()});
        }
    }
    ~Terminal() {
        close(fd_);
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

    void type(const std::string& keys) {
        EXPECT_EQ(write(fd_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    }

    // What was shown until `text` appeared, behind the last expectation; a failure when it does not within ten seconds.
    std::string expect(const std::string& text) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (shown_.find(text) == std::string::npos) {
            pollfd ready = {fd_, POLLIN, 0};
            char buffer[4096];
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
            const bool readable = left.count() > 0 && poll(&ready, 1, static_cast<int>(left.count())) == 1;
            const auto got = readable ? read(fd_, buffer, sizeof(buffer)) : -1;
            if (got <= 0) {
                ADD_FAILURE() << "\"" << text << "\" was not shown; this was:\n" << shown_;
                return shown_;
            }
            shown_.append(buffer, static_cast<std::size_t>(got));
        }
        const auto behind = shown_.find(text) + text.size();
        const auto part = shown_.substr(0, behind);
        shown_.erase(0, behind);
        return part;
    }

    int end() {
        char buffer[4096];
        while (read(fd_, buffer, sizeof(buffer)) > 0) {
        }
        int status = 0;
        waitpid(pid_, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    pid_t pid_ = -1;
    int fd_ = -1;
    std::string shown_;
};

cli::Suggestions suggestions(std::vector<cli::Suggestion> list) {
    return {std::move(list), false};
}

TEST(TabInsertion, CompletesTheOnlyWordAndABlank) {
    EXPECT_EQ(cli::tab_insertion("sh", suggestions({{"show", "", true}})), "ow ");
    EXPECT_EQ(cli::tab_insertion("show ma", suggestions({{"machines", "", true}, {"NAME", "", false}})), "chines ");
}

TEST(TabInsertion, AddsWhatAllShareElseNothing) {
    EXPECT_EQ(cli::tab_insertion("show m", suggestions({{"machine", "", true}, {"machines", "", true}})), "achine");
    EXPECT_EQ(cli::tab_insertion("show machine", suggestions({{"machine", "", true}, {"machines", "", true}})), "");
    EXPECT_EQ(cli::tab_insertion("interval ", suggestions({{"<1-9>", "", false}})), "");
    EXPECT_EQ(cli::tab_insertion("x", {}), "");
}

TEST(HelpText, AlignsAndShowsTheEnd) {
    EXPECT_EQ(cli::help_text({{{"a", "one", true}, {"<1-9>", "two", false}}, true}),
              "  a      one\n  <1-9>  two\n  <cr>\n");
    EXPECT_EQ(cli::help_text({}), "% there is no such command\n");
}

class Nettsh : public ::testing::Test {
protected:
    Process run(Lines arguments, const std::string& input = {}) {
        arguments.insert(arguments.begin(), {"-s", agent_.socket()});
        return Process(arguments, input);
    }
    FakeAgent agent_;
};

TEST_F(Nettsh, RunsCommandsInOrderAndLogsOut) {
    auto process = run({"-c", "show a", "-c", "show b"});
    EXPECT_EQ(process.end(), 0);
    EXPECT_EQ(process.output, "got show a\ngot show b\n");
    EXPECT_EQ(process.errors, "");
    EXPECT_EQ(agent_.lines(), (Lines{"show a", "show b", "logout"}));
}

TEST_F(Nettsh, StopsAtTheFirstCommandThatFails) {
    auto process = run({"-c", "fail", "-c", "show b"});
    EXPECT_EQ(process.end(), 1);
    EXPECT_EQ(process.output, "");
    EXPECT_EQ(process.errors, "% it failed:\n  badly\n");
    EXPECT_EQ(agent_.lines(), (Lines{"fail", "logout"}));
}

TEST_F(Nettsh, AnswersWithJson) {
    auto process = run({"--json", "-c", "show a"});
    EXPECT_EQ(process.end(), 0);
    EXPECT_EQ(process.output, "{\"line\": \"show a\"}\n");
}

TEST_F(Nettsh, UncommittedChangesOfAScriptAreAFailure) {
    auto process = run({"-c", "change"});
    EXPECT_EQ(process.end(), 1);
    EXPECT_EQ(process.errors, "% uncommitted changes were dropped\n");
}

TEST_F(Nettsh, ReadsStandardInputAndNamesTheLineThatFails) {
    auto process = run({}, "show a\n\nfail\nshow b\n");
    EXPECT_EQ(process.end(), 1);
    EXPECT_EQ(process.output, "got show a\n");
    EXPECT_EQ(process.errors, "% stdin:3: it failed:\n  badly\n");
}

TEST_F(Nettsh, ReadsAFile) {
    const auto file = agent_.folder() + "/script";
    std::ofstream(file) << "show a\nexit\nshow b\n";
    auto process = run({"-f", file});
    EXPECT_EQ(process.end(), 0);
    EXPECT_EQ(process.output, "got show a\n");
    EXPECT_EQ(agent_.lines(), (Lines{"show a", "exit"}));
    auto missing = run({"-f", file + "x"});
    EXPECT_EQ(missing.end(), 1);
    EXPECT_EQ(missing.errors, "% cannot read " + file + "x\n");
}

TEST_F(Nettsh, SaysWhyTheAgentCannotBeReached) {
    Process process({"-s", agent_.socket() + "x", "-c", "show a"});
    EXPECT_EQ(process.end(), 2);
    EXPECT_EQ(process.errors, "% no agent listens at " + agent_.socket() +
                                  "x; start it with \"systemctl start nettd\", or name its socket with --socket\n");
}

TEST_F(Nettsh, InterruptCancelsTheCommandThatRuns) {
    auto process = run({"-c", "wait", "-c", "show b"});
    EXPECT_EQ(process.first_line(), "waiting\n");
    process.interrupt();
    EXPECT_EQ(process.end(), 1);
    EXPECT_EQ(process.output, "");
    EXPECT_EQ(process.errors, "% interrupted; a change that the agent had begun is finished\n");
}

TEST_F(Nettsh, QuestionMarkListsAtOnceAndKeepsTheLine) {
    Terminal terminal(agent_);
    terminal.expect("fake# ");
    terminal.type("show ?");
    terminal.expect("  machine   one\r\n");
    terminal.expect("  machines  all\r\n");
    terminal.expect("  <1-9>     some\r\n");
    terminal.expect("fake# show ");
    terminal.type("x\n");
    terminal.expect("got show x\r\n");
}

TEST_F(Nettsh, TabCompletes) {
    Terminal terminal(agent_);
    terminal.expect("fake# ");
    terminal.type("sh\tx\n");
    terminal.expect("got show x\r\n");
}

TEST_F(Nettsh, ControlCEmptiesTheLineAndControlDLeaves) {
    Terminal terminal(agent_);
    terminal.expect("fake# ");
    terminal.type("fail\x03");
    terminal.expect("^C\r\n");
    terminal.type("show x\n");
    terminal.expect("got show x\r\n");
    terminal.expect("fake# ");
    terminal.type("\x04");
    EXPECT_EQ(terminal.end(), 0);
    EXPECT_EQ(agent_.lines(), (Lines{"", "show x", "logout"}));
}

TEST_F(Nettsh, ControlCOnATerminalCancelsTheCommandAndKeepsTheShell) {
    Terminal terminal(agent_);
    terminal.expect("fake# ");
    terminal.type("wait\n");
    terminal.expect("waiting\r\n");
    terminal.type("\x03");
    terminal.expect("% interrupted; a change that the agent had begun is finished");
    terminal.expect("fake# ");
    terminal.type("show x\n");
    terminal.expect("got show x\r\n");
}

TEST_F(Nettsh, LongOutputGoesThroughThePagerShortDoesNot) {
    Terminal terminal(agent_);
    terminal.expect("fake# ");
    terminal.type("long 5\n");
    EXPECT_EQ(terminal.expect("row 4\r\n").find("paged"), std::string::npos);
    terminal.type("long 50\n");
    terminal.expect("paged row 0\r\n");
    terminal.type("show x\n");
    terminal.expect("got show x\r\n");
}

TEST_F(Nettsh, RemembersWhatWasTyped) {
    {
        Terminal terminal(agent_);
        terminal.expect("fake# ");
        terminal.type("show remembered\n");
        terminal.expect("got show remembered\r\n");
        terminal.expect("fake# ");
        terminal.type("\x04");
        EXPECT_EQ(terminal.end(), 0);
    }
    Terminal terminal(agent_);
    terminal.expect("fake# ");
    terminal.type("\x10\n");  // Ctrl-P
    terminal.expect("got show remembered\r\n");
}

}  // namespace
}  // namespace nett::test
