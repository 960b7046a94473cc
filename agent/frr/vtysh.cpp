#include "agent/frr/vtysh.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"

extern char** environ;

namespace nett {
namespace {

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(fd_); }
    int get() const { return fd_; }

private:
    int fd_;
};

Result<pid_t> spawn(const std::string& path, std::vector<std::string> words, int output) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    pid_t pid = 0;
    int code = posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return fail(Code::kUnavailable, "cannot run {}: {}", path, std::strerror(code));
    return pid;
}

// Reads until end of file; kDeadlineExceeded, kResourceExhausted.
Result<std::string> read_all(int fd, std::chrono::steady_clock::time_point deadline) {
    std::string output;
    std::array<char, 16384> buffer;
    for (;;) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd entry{fd, POLLIN, 0};
        int ready = left.count() <= 0 ? 0 : poll(&entry, 1, static_cast<int>(left.count()));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return fail(Code::kDeadlineExceeded, "vtysh did not answer in time");
        ssize_t count = read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return output;
        output.append(buffer.data(), static_cast<std::size_t>(count));
        if (output.size() > kMaxVtyshOutput)
            return fail(Code::kResourceExhausted, "vtysh's answer is larger than 16 MiB");
    }
}

}  // namespace

Result<std::string> run_vtysh(const std::string& path, const std::vector<std::string>& arguments,
                              const std::string& command, std::chrono::milliseconds timeout) {
    // A newline would end the command and begin another.
    if (std::any_of(command.begin(), command.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; })) {
        return fail(Code::kInvalidArgument, "a vtysh command must not contain control characters");
    }
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) return fail(Code::kResourceExhausted, "pipe: {}", std::strerror(errno));
    Descriptor reader(ends[0]);
    std::vector<std::string> words{path};
    words.insert(words.end(), arguments.begin(), arguments.end());
    words.insert(words.end(), {"-c", command});
    Result<pid_t> pid = [&] {
        Descriptor writer(ends[1]);
        return spawn(path, std::move(words), writer.get());
    }();
    if (!pid) return fail(std::move(pid.error()));
    auto output = read_all(reader.get(), std::chrono::steady_clock::now() + timeout);
    if (!output) kill(*pid, SIGKILL);
    int status = 0;
    while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!output) return output;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return fail(Code::kUnavailable, "vtysh -c \"{}\" failed: {}", command, trim(*output));
    }
    return output;
}

}  // namespace nett
