// Checks that are programs: exit status 0 is good; the first line of output is the message.
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/bgp-anycast/probe.hpp"
#include "plugins/bgp-anycast/sandbox.hpp"

namespace nett::anycast {
namespace {

using boost::system::error_code;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxKeptOutput = 4096;  // of a check's output; the rest is read and dropped
constexpr std::size_t kMaxMessage = 200;      // a line in "show anycast"

// The first line, without control characters.
std::string first_line(std::string_view output) {
    std::string line(trim(output.substr(0, output.find('\n'))).substr(0, kMaxMessage));
    for (char& c : line) {
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    }
    return line;
}

CheckResult result_of(int status, std::string_view output) {
    std::string line = first_line(output);
    std::string said = line.empty() ? "" : ": " + line;
    if (WIFSIGNALED(status)) return {false, fmt::format("killed by signal {}{}", WTERMSIG(status), said)};
    int code = WEXITSTATUS(status);
    if (code != 0) return {false, fmt::format("exit status {}{}", code, said)};
    return {true, line.empty() ? "exit status 0" : line};
}

class ExecProbe final : public Probe, public std::enable_shared_from_this<ExecProbe> {
public:
    ExecProbe(asio::any_io_executor io, CheckSettings settings, Address6 anycast)
        : settings_(std::move(settings)),
          anycast_(anycast),
          strand_(asio::make_strand(io)),
          exited_(strand_),
          output_(strand_),
          deadline_(strand_) {}

    Awaitable<CheckResult> run() override {
        auto work = work_in_time();
        co_return co_await asio::co_spawn(strand_, std::move(work), asio::use_awaitable);
    }

    void cancel() override {
        asio::dispatch(strand_, [self = shared_from_this()] { self->kill_group(); });
    }

private:
    SandboxSettings sandbox() const {
        SandboxSettings sandbox;
        sandbox.command = settings_.command;
        sandbox.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "NETT_CHECK=" + settings_.name,
                               "NETT_ADDRESS=" + anycast_.to_string()};
        sandbox.user = settings_.user;
        // The deadline below counts elapsed time; this is for one that escapes from its process group.
        sandbox.processor_time = std::chrono::ceil<std::chrono::seconds>(settings_.timeout) + std::chrono::seconds(1);
        return sandbox;
    }

    Awaitable<CheckResult> work_in_time() {
        auto self = shared_from_this();
        auto child = spawn_sandboxed(sandbox());
        if (!child) co_return CheckResult{false, child.error().to_string()};
        group_ = child->pid;
        exited_.assign(child->pidfd);
        output_.assign(child->output);
        output_.non_blocking(true);
        deadline_.expires_after(settings_.timeout);
        deadline_.async_wait([self](const error_code& error) {
            if (error) return;
            self->late_ = true;
            self->kill_group();
        });
        drain();
        co_await exited_.async_wait(asio::posix::descriptor_base::wait_read, kAsTuple);
        // Before it is waited for: then its process id, the group's too, cannot belong to another.
        take_output();
        kill_group();
        int status = 0;
        ::waitpid(*group_, &status, 0);
        group_.reset();
        deadline_.cancel();
        error_code ignored;
        output_.close(ignored);
        exited_.close(ignored);
        if (late_) co_return CheckResult{false, fmt::format("no result within {} ms", settings_.timeout.count())};
        co_return result_of(status, kept_);
    }

    void kill_group() {
        if (group_) ::kill(-*group_, SIGKILL);
    }

    // Reads while the program runs, so that a full pipe does not stop it.
    void drain() {
        output_.async_wait(asio::posix::descriptor_base::wait_read,
                           [self = shared_from_this()](const error_code& error) {
                               if (!error && self->take_output()) self->drain();
                           });
    }

    // False at the end of the output.
    bool take_output() {
        std::array<char, 4096> buffer;
        error_code error;
        while (output_.is_open()) {
            std::size_t count = output_.read_some(asio::buffer(buffer), error);
            if (error) return error == asio::error::would_block || error == asio::error::try_again;
            kept_.append(buffer.data(), std::min(count, kMaxKeptOutput - kept_.size()));
            if (++reads_ > kMaxReadsARun) return false;
        }
        return false;
    }

    // 16 MiB of output: what writes more is not read any further and is stopped by its full pipe, then by the deadline.
    static constexpr int kMaxReadsARun = 4096;

    const CheckSettings settings_;
    const Address6 anycast_;
    asio::strand<asio::any_io_executor> strand_;
    asio::posix::stream_descriptor exited_;
    asio::posix::stream_descriptor output_;
    asio::steady_timer deadline_;
    std::optional<pid_t> group_;
    std::string kept_;
    int reads_ = 0;
    bool late_ = false;
};

}  // namespace

std::shared_ptr<Probe> make_exec_probe(asio::any_io_executor io, CheckSettings settings, Address6 anycast) {
    return std::make_shared<ExecProbe>(io, std::move(settings), anycast);
}

}  // namespace nett::anycast
