#include "builder/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <optional>

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"
#include "agent/sdk/unique_fd.hpp"

namespace nett::builder {
namespace {

// What a tool says is read to the end, but only this much of it is kept for an error's text.
constexpr std::size_t kKeptOutput = 600;

std::string search_path() {
    const char* path = std::getenv("PATH");
    return std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin";
}

std::optional<std::string> find_tool(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        return ::access(name.c_str(), X_OK) == 0 ? std::optional(name) : std::nullopt;
    }
    const std::string path = search_path();
    for (const std::string_view folder : split(path, ':')) {
        std::string candidate = (folder.empty() ? "." : std::string(folder)) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return std::nullopt;
}

std::string package_of(const std::string& tool) {
    static const std::map<std::string, std::string> packages{{"sgdisk", "gdisk"},
                                                             {"mkfs.vfat", "dosfstools"},
                                                             {"mcopy", "mtools"},
                                                             {"mmd", "mtools"},
                                                             {"mtype", "mtools"},
                                                             {"sbsign", "sbsigntool"},
                                                             {"step", "step-cli (smallstep)"},
                                                             {"xorriso", "xorriso"}};
    const auto found = packages.find(tool);
    return found == packages.end() ? tool : found->second;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (std::string& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

// The tool must not inherit the signals that the caller holds back, or it could not be interrupted.
class SpawnSettings {
public:
    SpawnSettings(int output, int errors) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
        ::posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigemptyset(&none);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    ~SpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }
    const posix_spawn_file_actions_t* actions() const { return &actions_; }
    const posix_spawnattr_t* attributes() const { return &attributes_; }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

// All of it, or, with `limit`, its end.
std::string read_to_end(int descriptor, std::size_t limit) {
    std::string kept;
    char buffer[4096];
    for (;;) {
        const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return kept;
        kept.append(buffer, static_cast<std::size_t>(count));
        if (limit != 0 && kept.size() > 2 * limit) kept.erase(0, kept.size() - limit);
    }
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

Error failure_of(const std::string& name, int status, std::string_view output) {
    // mtools and mkfs.vfat pass strerror(ENOSPC) on; xorriso has words of its own.
    for (const char* words : {"No space left on device", "exceeds free space"}) {
        if (output.find(words) == std::string_view::npos) continue;
        return {Code::kResourceExhausted,
                fmt::format("no space left on its file system ({}): make room and run the command again", name),
                {}};
    }
    const std::string how = WIFEXITED(status) ? fmt::format("exit status {}", WEXITSTATUS(status))
                                              : fmt::format("signal {}", WTERMSIG(status));
    return {Code::kInternal, fmt::format("{} failed ({}): {}", name, how, output), {}};
}

struct Pipe {
    Pipe() {
        if (::pipe2(ends, O_CLOEXEC) != 0) ends[0] = ends[1] = -1;
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close_writer();
        if (ends[0] >= 0) ::close(ends[0]);
    }
    void close_writer() {
        if (ends[1] >= 0) ::close(ends[1]);
        ends[1] = -1;
    }
    int ends[2];
};

// Runs the tool with its output in `pipe` and its errors in `errors`; answers with its wait status. `take` reads the
// pipe meanwhile.
Result<int> run(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, Pipe& pipe,
                int errors, const std::function<void()>& take) {
    const auto program = find_tool(arguments.front());
    if (!program) {
        return fail(Code::kFailedPrecondition, "the tool {} is not installed: install the package {}",
                    arguments.front(), package_of(arguments.front()));
    }
    if (pipe.ends[0] < 0) return fail(Code::kInternal, "pipe: {}", std::strerror(errno));
    std::vector<std::string> words = arguments;
    std::vector<std::string> settings = environment;
    settings.push_back("PATH=" + search_path());
    pid_t child = 0;
    const SpawnSettings spawn(pipe.ends[1], errors);
    const int code = ::posix_spawn(&child, program->c_str(), spawn.actions(), spawn.attributes(),
                                   pointers(words).data(), pointers(settings).data());
    if (code != 0) return fail(Code::kInternal, "cannot run {}: {}", *program, std::strerror(code));
    pipe.close_writer();
    take();
    return wait_for(child);
}

bool succeeded(int status) {
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

Result<void> run_tool(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    Pipe pipe;
    std::string output;
    const auto status =
        run(arguments, environment, pipe, pipe.ends[1], [&] { output = read_to_end(pipe.ends[0], kKeptOutput); });
    if (!status) return fail(status.error());
    if (succeeded(*status)) return {};
    return fail(failure_of(arguments.front(), *status, trim(output)));
}

Result<std::string> tool_output(const std::vector<std::string>& arguments,
                                const std::vector<std::string>& environment) {
    Pipe pipe;
    const UniqueFd errors(::memfd_create("errors", MFD_CLOEXEC));
    if (!errors) return fail(Code::kInternal, "memfd_create: {}", std::strerror(errno));
    std::string output;
    const auto status = run(arguments, environment, pipe, errors.get(), [&] { output = read_to_end(pipe.ends[0], 0); });
    if (!status) return fail(status.error());
    if (succeeded(*status)) return output;
    ::lseek(errors.get(), 0, SEEK_SET);
    return fail(failure_of(arguments.front(), *status, trim(read_to_end(errors.get(), kKeptOutput))));
}

}  // namespace nett::builder
