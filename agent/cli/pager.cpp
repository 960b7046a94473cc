#include "agent/cli/pager.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nett::cli {

namespace {

constexpr const char* kDefaultPager = "less -FRX";

std::size_t screen_lines() {
    winsize size = {};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row : 0;
}

// Runs the pager on the other end of a pipe; the child never returns.
pid_t start_pager(const int (&ends)[2]) {
    const char* chosen = std::getenv("PAGER");
    const char* command = chosen != nullptr && *chosen != '\0' ? chosen : kDefaultPager;
    const pid_t child = fork();
    if (child != 0) return child;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    dup2(ends[0], STDIN_FILENO);
    // Without a pager the text is shown all the same.
    const std::string script = std::string(command) + " || { [ $? -eq 127 ] && cat; }";
    execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
    _exit(127);
}

}  // namespace

void print_paged(std::string_view text, std::optional<unsigned> length) {
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    const std::size_t screen = length ? *length : screen_lines();
    std::fflush(stdout);
    int ends[2];
    if (screen == 0 || lines < screen || pipe2(ends, O_CLOEXEC) != 0) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
        return;
    }
    const pid_t child = start_pager(ends);
    close(ends[0]);
    while (child > 0 && !text.empty()) {
        const auto written = write(ends[1], text.data(), text.size());
        if (written < 0 && errno != EINTR) break;  // the reader has seen enough
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
    close(ends[1]);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace nett::cli
