#include "agent/frr/vtysh.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"

extern char** environ;

namespace nett {
namespace {

// What vtysh says when none of the daemons it was to ask is there.
constexpr std::string_view kNoDaemon = "failed to connect to any daemons";

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_;
};

Error system_error(std::string_view what) {
    return Error{Code::kResourceExhausted, fmt::format("{}: {}", what, std::strerror(errno)), {}};
}

Result<pid_t> spawn(std::vector<std::string> words, int input, int output, int errors) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (input >= 0) {
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    } else {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    pid_t pid = 0;
    int code = posix_spawn(&pid, words[0].c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return fail(Code::kUnavailable, "cannot run {}: {}", words[0], std::strerror(code));
    return pid;
}

// Reads until end of file, the deadline, or until `cancelled` is readable.
Result<std::string> read_all(int fd, int cancelled, std::chrono::steady_clock::time_point deadline) {
    std::string output;
    std::array<char, 16384> buffer;
    for (;;) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        std::array<pollfd, 2> entries{{{fd, POLLIN, 0}, {cancelled, POLLIN, 0}}};
        int ready = left.count() <= 0 ? 0 : poll(entries.data(), entries.size(), static_cast<int>(left.count()));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return fail(Code::kDeadlineExceeded, "vtysh did not answer in time; a daemon hangs");
        if (entries[1].revents != 0) return fail(Code::kUnavailable, "the agent stops");
        ssize_t count = read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return output;
        output.append(buffer.data(), static_cast<std::size_t>(count));
        if (output.size() > kMaxVtyshOutput)
            return fail(Code::kResourceExhausted, "vtysh's answer is larger than 16 MiB");
    }
}

// The beginning of a memory file.
std::string contents(int fd) {
    std::string text(kMaxVtyshErrors, '\0');
    ssize_t count = pread(fd, text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
}

bool has_control_characters(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

Result<void> write_lines(int fd, const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        if (has_control_characters(line))
            return fail(Code::kInvalidArgument, "a vtysh command must not contain control characters");
        text += line + '\n';
    }
    for (std::size_t done = 0; done < text.size();) {
        ssize_t count = write(fd, text.data() + done, text.size() - done);
        if (count < 0) return fail(system_error("memory file"));
        done += static_cast<std::size_t>(count);
    }
    return {};
}

}  // namespace

Vtysh::Vtysh(std::string path, std::vector<std::string> arguments)
    : path_(std::move(path)), arguments_(std::move(arguments)), cancelled_(eventfd(0, EFD_CLOEXEC)) {}

Vtysh::~Vtysh() {
    if (cancelled_ >= 0) close(cancelled_);
}

void Vtysh::cancel() const {
    if (cancelled_ >= 0) eventfd_write(cancelled_, 1);
}

Result<std::string> Vtysh::show(const std::string& command, std::chrono::milliseconds timeout) const {
    // A newline would end the command and begin another.
    if (has_control_characters(command))
        return fail(Code::kInvalidArgument, "a vtysh command must not contain control characters");
    return run({"-c", command}, -1, timeout);
}

Result<std::string> Vtysh::show(const std::string& daemon, const std::string& command,
                                std::chrono::milliseconds timeout) const {
    if (has_control_characters(command))
        return fail(Code::kInvalidArgument, "a vtysh command must not contain control characters");
    return run({"-d", daemon, "-c", command}, -1, timeout);
}

Result<std::string> Vtysh::configure(const std::string& daemon, const std::vector<std::string>& lines,
                                     std::chrono::milliseconds timeout) const {
    Descriptor input(memfd_create("vtysh", MFD_CLOEXEC));
    if (input.get() < 0) return fail(system_error("memory file"));
    NETT_TRY(write_lines(input.get(), lines));
    // Without --no-fork a child for each daemon would outlive a vtysh that is killed.
    return run({"-d", daemon, "--no-fork", "-f", "/dev/stdin"}, input.get(), timeout);
}

Result<std::string> Vtysh::run(std::vector<std::string> more, int input, std::chrono::milliseconds timeout) const {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) return fail(system_error("pipe"));
    Descriptor reader(ends[0]);
    Descriptor errors(memfd_create("vtysh-errors", MFD_CLOEXEC));
    std::vector<std::string> words{path_};
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    words.insert(words.end(), more.begin(), more.end());
    Result<pid_t> pid = [&]() -> Result<pid_t> {
        Descriptor writer(ends[1]);
        if (errors.get() < 0) return fail(system_error("memory file"));
        return spawn(std::move(words), input, writer.get(), errors.get());
    }();
    if (!pid) return fail(std::move(pid.error()));
    auto output = read_all(reader.get(), cancelled_, std::chrono::steady_clock::now() + timeout);
    if (!output) kill(*pid, SIGKILL);
    int status = 0;
    while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!output) return output;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
    const std::string raw = contents(errors.get()) + *output;
    const std::string said(trim(raw));
    auto code = said.find(kNoDaemon) == std::string::npos ? Code::kFailedPrecondition : Code::kUnavailable;
    return fail(code, "vtysh {} {}: {}", more[0], more[1], said);
}

}  // namespace nett
