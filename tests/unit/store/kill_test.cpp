// `kill -9` in the middle of writes loses nothing that was acknowledged.
#include <array>
#include <csignal>
#include <sstream>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/store_fixture.hpp"

namespace nett::test {
namespace {

constexpr int kRounds = 5;
constexpr std::size_t kBytesBeforeKill = 4000;  // some hundred acknowledgements

// Starts the writer, lets it acknowledge for a while, kills it, and returns all that it said.
std::string killed_writers_words(const std::string& path, std::size_t bytes) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    std::string program = NETT_KILL_WRITER;
    std::string argument = path;
    std::array<char*, 3> argv{program.data(), argument.data(), nullptr};
    pid_t child = 0;
    EXPECT_EQ(::posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    std::string words;
    std::array<char, 512> buffer{};
    bool killed = false;
    for (ssize_t got = 0; (got = ::read(pipe[0], buffer.data(), buffer.size())) > 0;) {
        words.append(buffer.data(), static_cast<std::size_t>(got));
        if (!killed && words.size() >= bytes) killed = ::kill(child, SIGKILL) == 0;
    }
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return words;
}

TEST(StoreKill, LosesNothingAcknowledged) {
    const TemporaryDirectory directory;
    const auto path = directory / "state.db";
    Revision last = 0;
    std::size_t acknowledged = 0;
    for (int round = 0; round < kRounds; ++round) {
        std::istringstream words(
            killed_writers_words(path, kBytesBeforeKill * static_cast<std::size_t>(round + 1) / 2));
        asio::io_context loop;
        auto opened = SqliteStore::open(path, loop.get_executor());
        ASSERT_TRUE(opened) << opened.error().to_string();
        std::string key;
        for (Revision revision = 0; words >> key >> revision; ++acknowledged) {
            const auto record = (*opened)->get("machine", key).value();
            ASSERT_TRUE(record) << "lost " << key;
            EXPECT_EQ(record->revision, revision) << key;
            EXPECT_EQ(record->value, "value of " + key);
            EXPECT_EQ((*opened)->find("machine", "uuid", key).value().value().key, key);
            EXPECT_GT(revision, last) << "a revision is never given twice";
            EXPECT_LE(revision, (*opened)->revision());
        }
        last = (*opened)->revision();
    }
    EXPECT_GT(acknowledged, 100U);
}

}  // namespace
}  // namespace nett::test
