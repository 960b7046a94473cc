#include "plugins/bgp-anycast/sandbox.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace nett::anycast {
namespace {

constexpr int kStatusDescriptor = 3;  // tells the parent why there was no exec; closed by a successful one
constexpr int kFailedStatus = 127;
constexpr std::size_t kPasswdBuffer = 16384;

struct Ids {
    uid_t user;
    gid_t group;
};

Result<std::optional<Ids>> ids_of(const std::string& user) {
    if (user.empty() && ::geteuid() != 0) return std::nullopt;
    const std::string name = user.empty() ? kDefaultCheckUser : user;
    std::vector<char> buffer(kPasswdBuffer);
    passwd entry{};
    passwd* found = nullptr;
    int code = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (code != 0) return fail(Code::kInternal, "user {}: {}", name, std::strerror(code));
    if (found == nullptr) return fail(Code::kNotFound, "there is no user {}", name);
    if (entry.pw_uid == ::geteuid()) return std::nullopt;
    return Ids{entry.pw_uid, entry.pw_gid};
}

struct Prepared {
    std::vector<char*> argv;
    std::vector<char*> environment;
    std::optional<Ids> ids;
    rlim_t processor_time;
    pid_t parent;
    int null;
    int output;
    int status;
};

bool limit(int resource, rlim_t value) {
    rlimit bound{value, value};
    return ::setrlimit(static_cast<__rlimit_resource>(resource), &bound) == 0;
}

bool set_limits(const Prepared& prepared) {
    return limit(RLIMIT_CPU, prepared.processor_time) && limit(RLIMIT_AS, kMaxCheckMemory) &&
           limit(RLIMIT_FSIZE, kMaxCheckFileBytes) && limit(RLIMIT_NOFILE, kMaxCheckFiles) &&
           limit(RLIMIT_NPROC, kMaxCheckProcesses) && limit(RLIMIT_CORE, 0);
}

// Descriptors 0 to 2, and the status one as kStatusDescriptor; everything else is closed.
bool set_descriptors(const Prepared& prepared) {
    // Above all that is about to be replaced.
    int status = ::fcntl(prepared.status, F_DUPFD_CLOEXEC, kMaxCheckFiles);
    int output = ::fcntl(prepared.output, F_DUPFD_CLOEXEC, kMaxCheckFiles);
    int null = ::fcntl(prepared.null, F_DUPFD_CLOEXEC, kMaxCheckFiles);
    if (status < 0 || output < 0 || null < 0) return false;
    if (::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) return false;
    if (::dup3(status, kStatusDescriptor, O_CLOEXEC) < 0) return false;
    return ::syscall(SYS_close_range, kStatusDescriptor + 1, ~0U, 0) == 0;
}

bool drop_privileges(const Prepared& prepared) {
    if (prepared.ids) {
        const gid_t group = prepared.ids->group;
        if (::setgroups(1, &group) != 0 || ::setresgid(group, group, group) != 0) return false;
        if (::setresuid(prepared.ids->user, prepared.ids->user, prepared.ids->user) != 0) return false;
    }
    // What systemd gave the agent (CAP_NET_ADMIN) would go through exec.
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

// Between fork and exec in a process with threads: system calls only, no memory is allocated.
[[noreturn]] void become_child(const Prepared& prepared) {
    bool ready = ::setpgid(0, 0) == 0 && set_descriptors(prepared) && set_limits(prepared) && drop_privileges(prepared);
    // After the change of user, which clears it. The parent may have died already.
    ready = ready && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == prepared.parent;
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::umask(077);
    if (ready && ::chdir("/") == 0) ::execve(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
    int error = errno;
    [[maybe_unused]] ssize_t ignored = ::write(kStatusDescriptor, &error, sizeof error);
    ::_exit(kFailedStatus);
}

struct Pipe {
    std::array<int, 2> ends{-1, -1};
    ~Pipe() {
        for (int& end : ends) close(end);
    }
    static void close(int& end) {
        if (end >= 0) ::close(end);
        end = -1;
    }
    int release_reader() { return std::exchange(ends[0], -1); }
};

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    for (std::string& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

// What the child wrote before exec; 0 when exec came.
int exec_error(int fd) {
    int error = 0;
    ssize_t count = 0;
    do {
        count = ::read(fd, &error, sizeof error);
    } while (count < 0 && errno == EINTR);
    return count == sizeof error ? error : 0;
}

}  // namespace

Result<Child> spawn_sandboxed(const SandboxSettings& settings) {
    auto ids = ids_of(settings.user);
    if (!ids) return fail(std::move(ids.error()));
    Pipe output, status;
    if (::pipe2(output.ends.data(), O_CLOEXEC) != 0 || ::pipe2(status.ends.data(), O_CLOEXEC) != 0)
        return fail(Code::kResourceExhausted, "pipe: {}", std::strerror(errno));
    int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return fail(Code::kResourceExhausted, "/dev/null: {}", std::strerror(errno));
    std::vector<std::string> words = settings.command;
    std::vector<std::string> environment = settings.environment;
    Prepared prepared{pointers(words),
                      pointers(environment),
                      *ids,
                      static_cast<rlim_t>(settings.processor_time.count()),
                      ::getpid(),
                      null,
                      output.ends[1],
                      status.ends[1]};
    pid_t pid = ::fork();
    if (pid == 0) become_child(prepared);
    int fork_error = errno;
    ::close(null);
    Pipe::close(output.ends[1]);
    Pipe::close(status.ends[1]);
    if (pid < 0) return fail(Code::kResourceExhausted, "fork: {}", std::strerror(fork_error));
    if (int error = exec_error(status.ends[0]); error != 0) {
        ::waitpid(pid, nullptr, 0);
        return fail(error == ENOENT ? Code::kNotFound : Code::kPermissionDenied, "cannot run {}: {}",
                    settings.command[0], std::strerror(error));
    }
    int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) {
        int error = errno;
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return fail(Code::kUnimplemented, "pidfd_open: {}", std::strerror(error));
    }
    ::fcntl(output.ends[0], F_SETFL, O_NONBLOCK);
    return Child{pid, pidfd, output.release_reader()};
}

}  // namespace nett::anycast
