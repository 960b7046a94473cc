#include "builder/bootstrap/private_agent.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"
#include "agent/sdk/unique_fd.hpp"
#include "builder/server.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxLog = 64 * 1024;
constexpr std::chrono::seconds kStartDeadline{30};   // an agent is up in less than one, on a busy machine too
constexpr std::chrono::minutes kBackupDeadline{30};  // artifacts may be some GB
constexpr int kCannotRun = 127;                      // as shells have it

std::string configuration(const std::string& root, const std::string& hostname, const std::string& socket) {
    return fmt::format(
        "hostname {0}\nstate file {1}/var/lib/nett/state.db\nsecret-key file {1}/var/lib/nett/secret.key\n"
        "artifacts directory {1}/var/lib/nett/artifacts\napi socket {2}\n",
        hostname, root, socket);
}

// Where the agent says that it is ready, as it says it to systemd: sd_notify(3).
Result<UniqueFd> notification_socket(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(
            Error{Code::kInvalidArgument, "is too long for a socket's name: set TMPDIR to a shorter one", path});
    path.copy(address.sun_path, path.size());
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail(system_error(path));
    return fd;
}

// In the child, between fork and exec: only calls that are async-signal-safe.
[[noreturn]] void become(const char* program, char* const* words, char* const* settings, int log) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(null, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execvpe(program, words, settings);
    ::_exit(kCannotRun);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (auto& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

pid_t spawn(const std::string& program, const std::string& root, const std::string& notify, int log) {
    std::vector<std::string> words{program, "--config", root + "/etc/nett/nett.conf", "--plugin-dir",
                                   root + "/plugins"};
    std::vector<std::string> settings{"NOTIFY_SOCKET=" + notify};
    for (const char* name : {"PATH", "LD_LIBRARY_PATH"}) {
        if (const char* value = std::getenv(name)) settings.push_back(fmt::format("{}={}", name, value));
    }
    const auto arguments = pointers(words);
    const auto environment = pointers(settings);
    const pid_t child = ::fork();
    if (child == 0) become(program.c_str(), arguments.data(), environment.data(), log);
    return child;
}

}  // namespace

PrivateAgent::PrivateAgent(PrivateAgent&& other) noexcept
    : sockets_(std::move(other.sockets_)), child_(std::exchange(other.child_, 0)) {}

PrivateAgent::~PrivateAgent() {
    if (child_ <= 0) return;
    ::kill(child_, SIGTERM);
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
}

std::string PrivateAgent::target() const {
    return "unix:" + sockets_.at("s");
}

Result<PrivateAgent> PrivateAgent::start(const std::string& program, const std::string& root,
                                         const std::string& hostname) {
    for (const char* folder : {"/etc/nett", "/var/lib/nett", "/plugins"}) NETT_TRY(make_directories(root + folder));
    std::error_code ignored;
    const auto temporary = std::filesystem::temp_directory_path(ignored);
    auto sockets = WorkFolder::beside((ignored ? "/tmp" : temporary.string()) + "/sockets");
    if (!sockets) return fail(std::move(sockets.error()));
    PrivateAgent agent(std::move(*sockets));
    NETT_TRY(write_files({{root + "/etc/nett/nett.conf", configuration(root, hostname, agent.sockets_.at("s"))}}));
    const std::string notify = agent.sockets_.at("n");
    const auto notifications = notification_socket(notify);
    if (!notifications) return fail(notifications.error());
    const std::string log = root + "/log";
    const Descriptor output(log, O_WRONLY | O_CREAT | O_TRUNC);
    if (output.get() < 0) return fail(system_error(log));
    agent.child_ = spawn(program, root, notify, output.get());
    if (agent.child_ < 0) return fail(system_error(program));
    NETT_TRY(agent.wait_ready(notifications->get(), program, log));
    return agent;
}

Result<void> PrivateAgent::wait_ready(int notifications, const std::string& program, const std::string& log) const {
    const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, child_, 0)));
    const auto deadline = std::chrono::steady_clock::now() + kStartDeadline;
    pollfd waits[] = {{notifications, POLLIN, 0}, {ended.get(), POLLIN, 0}};
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        const int ready = ::poll(waits, std::size(waits), static_cast<int>(std::max(left.count(), std::int64_t{0})));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0 || (waits[1].revents != 0 && waits[0].revents == 0)) break;
        char message[4096];
        const ssize_t size = ::recv(notifications, message, sizeof message, MSG_DONTWAIT);
        const std::string_view text(message, size > 0 ? static_cast<std::size_t>(size) : 0);
        if (text.find("READY=1") != std::string_view::npos) return {};
    }
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid == child_ && info.si_code == CLD_EXITED && info.si_status == kCannotRun)
        return fail(Code::kFailedPrecondition, "cannot run {}: install the package nett-agent, or give --nettd",
                    program);
    const auto said = read_file(log, kMaxLog);
    return fail(Code::kUnavailable, "{}, which makes the state, has not come up: {}", program,
                said && !trim(*said).empty() ? trim(*said) : "it said nothing");
}

Result<void> PrivateAgent::backup(const std::string& to) const {
    Server server(target());
    const Descriptor file(to, O_WRONLY | O_CREAT | O_EXCL);
    if (file.get() < 0) return fail(system_error(to));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kBackupDeadline);
    v1::BackupRequest request;
    request.set_artifacts(true);
    request.set_secrets_key(true);
    const auto stream = server.system->Backup(&context, request);
    v1::BackupChunk chunk;
    std::optional<Error> refused;  // by the disk
    while (stream->Read(&chunk)) {
        std::string_view rest = chunk.data();
        while (!refused && !rest.empty()) {
            const ssize_t count = ::write(file.get(), rest.data(), rest.size());
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) refused = system_error(to);
            if (count > 0) rest.remove_prefix(static_cast<std::size_t>(count));
        }
        if (refused) context.TryCancel();
    }
    const grpc::Status status = stream->Finish();
    if (refused) return fail(std::move(*refused));
    if (!status.ok()) return fail(error_of(status, server.target));
    return {};
}

}  // namespace nett::builder
