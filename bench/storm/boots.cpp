// Many machines that boot at once, over mutual TLS and TLS 1.2, as iPXE does it: one thread, epoll and OpenSSL. Each
// machine has a connection of its own, asks for its script, and checks what it is told. One that is shed (503) comes
// back after the time it was told, one whose connection ends comes back after 1, 2, 4, 8 seconds, each at the next
// server, until it has its answer.
//
// The file of machines has lines "PATH EXPECTED MARK": EXPECTED is install, wipe or disk, MARK stands in its script and
// in no other's. The last line of the output is one JSON object.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <queue>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <CLI/CLI.hpp>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLongestPause = 8;               // seconds; 1, 2, 4, 8 after connections that ended
constexpr std::chrono::seconds kPatience{20};  // iPXE's own, for an answer
constexpr std::size_t kMaxAnswer = 1U << 20U;  // a script has a few kilobytes
constexpr std::size_t kWrongShown = 5;

struct Options {
    std::vector<std::string> addresses;
    std::uint16_t port = 443;
    std::string certificate, key, machines;
    double seconds = 300;
};

struct Machine {
    std::string path, expected, mark;
    std::size_t server = 0;
    int fd = -1;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, SSL_free};
    bool asked = false;
    std::string answer;
    Clock::time_point give_up{};
    int ended = 0;
    bool unread = false;  // it asked, and went away before the answer
    bool done = false;
    double milliseconds = 0;
};

struct Totals {
    std::size_t right = 0, wrong = 0, shed = 0, ended = 0, silent = 0, unread = 0;
    std::vector<std::string> wrong_ones;
};

[[noreturn]] void die(std::string_view what) {
    fmt::print(stderr, "boots: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

std::string_view header(std::string_view head, std::string_view name) {
    const auto at = head.find(name);
    if (at == std::string_view::npos) return {};
    const auto from = at + name.size();
    return head.substr(from, head.find("\r\n", from) - from);
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// What an answer says, when it is complete: the status and the body.
struct Answer {
    bool complete = false;
    std::uint64_t status = 0;
    std::uint64_t retry_after = 0;
    std::string_view body;
};

Answer parse(std::string_view text) {
    const auto end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) return {};
    const auto head = text.substr(0, end + 2);
    const auto body = text.substr(end + 4);
    const auto length = header(head, "Content-Length: ");
    if (body.size() < number(length)) return {};
    return {true, number(header(head, "HTTP/1.1 ")), number(header(head, "Retry-After: ")), body};
}

std::string kind_of(const Answer& answer) {
    if (answer.status == 404) return "disk";
    if (answer.status != 200) return fmt::format("status {}", answer.status);
    return answer.body.find("talos.experimental.wipe") == std::string_view::npos ? "install" : "wipe";
}

class Storm {
public:
    Storm(const Options& options, SSL_CTX* context) : context_(context), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        for (const auto& address : options.addresses) {
            auto& server = servers_.emplace_back();
            server.sin6_family = AF_INET6;
            server.sin6_port = htons(options.port);
            if (inet_pton(AF_INET6, address.c_str(), &server.sin6_addr) != 1) die(address);
        }
        std::ifstream lines(options.machines);
        for (std::string line; std::getline(lines, line);) {
            auto& machine = machines_.emplace_back();
            std::istringstream(line) >> machine.path >> machine.expected >> machine.mark;
            machine.server = machines_.size() % servers_.size();
        }
        if (machines_.empty()) die(options.machines);
    }

    void run(double seconds) {
        begun_ = Clock::now();
        const auto end = begun_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
        for (std::size_t i = 0; i < machines_.size(); ++i) open(i);
        while (left() > 0 && Clock::now() < end) {
            turn(20);
            come_back();
        }
    }

    void report() const {
        std::vector<double> times;
        for (const auto& one : machines_) {
            if (one.done) times.push_back(one.milliseconds);
        }
        std::sort(times.begin(), times.end());
        const auto share = [&](double of) {
            return times.empty() ? 0 : times[static_cast<std::size_t>(of * static_cast<double>(times.size() - 1))];
        };
        for (const auto& one : totals_.wrong_ones) fmt::print("wrong: {}\n", one);
        fmt::print(
            "{{\"machines\": {}, \"right\": {}, \"wrong\": {}, \"unanswered\": {}, \"shed\": {}, \"ended\": {}, "
            "\"silent\": {}, \"unread\": {}, "
            "\"p50_ms\": {:.0f}, \"p99_ms\": {:.0f}, \"last_ms\": {:.0f}}}\n",
            machines_.size(), totals_.right, totals_.wrong, left(), totals_.shed, totals_.ended, totals_.silent,
            totals_.unread, share(0.5), share(0.99), share(1));
    }

private:
    struct Return {
        Clock::time_point when;
        std::size_t machine;
        bool operator>(const Return& other) const { return when > other.when; }
    };

    std::size_t left() const { return machines_.size() - totals_.right - totals_.wrong; }

    void open(std::size_t index) {
        auto& one = machines_[index];
        one.fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (one.fd < 0) die("socket");
        const int on = 1;
        ::setsockopt(one.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const auto& server = servers_[one.server++ % servers_.size()];
        if (::connect(one.fd, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 && errno != EINPROGRESS) {
            die("connect");
        }
        one.ssl.reset(SSL_new(context_));
        SSL_set_fd(one.ssl.get(), one.fd);
        SSL_set_connect_state(one.ssl.get());
        one.asked = false;
        one.answer.clear();
        one.give_up = Clock::now() + kPatience;
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.u64 = index;
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event) != 0) die("epoll_ctl");
    }

    void turn(int timeout) {
        std::array<epoll_event, 256> events;
        const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
        for (int i = 0; i < count; ++i) advance(events[static_cast<std::size_t>(i)].data.u64);
    }

    void come_back() {
        const auto now = Clock::now();
        while (!returns_.empty() && returns_.top().when <= now) {
            open(returns_.top().machine);
            returns_.pop();
        }
        if (now - swept_ < std::chrono::seconds(1)) return;
        swept_ = now;
        for (std::size_t i = 0; i < machines_.size(); ++i) {
            if (machines_[i].fd < 0 || machines_[i].give_up > now) continue;
            ++totals_.silent;
            retreat(i);
        }
    }

    void close(Machine& one) {
        one.ssl.reset();
        ::close(one.fd);
        one.fd = -1;
    }

    void again(std::size_t index, std::chrono::seconds pause) {
        close(machines_[index]);
        returns_.push({Clock::now() + pause, index});
    }

    // As far as it goes without waiting.
    void advance(std::size_t index) {
        auto& one = machines_[index];
        if (one.fd < 0) return;
        if (!SSL_is_init_finished(one.ssl.get())) {
            const int status = SSL_do_handshake(one.ssl.get());
            if (status != 1) return stopped(index, status);
        }
        if (!one.asked) {
            const auto request = fmt::format(
                "GET {} HTTP/1.1\r\nHost: storm\r\nUser-Agent: iPXE/2.0.0\r\nConnection: close\r\n\r\n", one.path);
            const int status = SSL_write(one.ssl.get(), request.data(), static_cast<int>(request.size()));
            if (status <= 0) return stopped(index, status);
            one.asked = true;
        }
        for (;;) {
            std::array<char, 16384> buffer;
            const int got = SSL_read(one.ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
            if (got <= 0) return stopped(index, got);
            one.answer.append(buffer.data(), static_cast<std::size_t>(got));
            const auto answer = parse(one.answer);
            if (answer.complete || one.answer.size() > kMaxAnswer) return take(index, answer);
        }
    }

    void stopped(std::size_t index, int status) {
        const int error = SSL_get_error(machines_[index].ssl.get(), status);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
        ++totals_.ended;
        retreat(index);
    }

    // So that many who are turned away do not keep the servers from serving.
    void retreat(std::size_t index) {
        machines_[index].unread |= machines_[index].asked;
        const int doublings = std::min(machines_[index].ended++, 3);
        again(index, std::chrono::seconds(std::min(1 << doublings, kLongestPause)));
    }

    void take(std::size_t index, const Answer& answer) {
        auto& one = machines_[index];
        if (answer.status == 503) {
            ++totals_.shed;
            return again(index, std::chrono::seconds(std::max<std::uint64_t>(answer.retry_after, 1)));
        }
        const auto kind = kind_of(answer);
        // A wipe is served once: who did not read it is installed.
        const bool used_up = one.unread && one.expected == "wipe" && kind == "install";
        if (used_up) ++totals_.unread;
        const bool mine = kind == "disk" || answer.body.find(one.mark) != std::string_view::npos;
        if ((kind == one.expected || used_up) && mine) {
            ++totals_.right;
        } else {
            ++totals_.wrong;
            if (totals_.wrong_ones.size() < kWrongShown) {
                totals_.wrong_ones.push_back(fmt::format("{}: {}{}, expected {}", one.path, kind,
                                                         mine ? "" : " of another machine", one.expected));
            }
        }
        one.done = true;
        one.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - begun_).count();
        close(one);
    }

    SSL_CTX* context_;
    const int epoll_;
    std::vector<sockaddr_in6> servers_;
    std::vector<Machine> machines_;
    std::priority_queue<Return, std::vector<Return>, std::greater<>> returns_;
    Clock::time_point begun_{}, swept_{};
    Totals totals_;
};

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("Machines that boot at once");
    app.add_option("--address", options.addresses, "IPv6 addresses of the servers")->required();
    app.add_option("--port", options.port);
    app.add_option("--certificate", options.certificate, "the tenant's, PEM")->required();
    app.add_option("--key", options.key, "the tenant's, PEM")->required();
    app.add_option("--machines", options.machines, "a file, see the source")->required();
    app.add_option("--seconds", options.seconds, "the longest that it takes");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets that the server has closed

    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    // The server's certificate is not checked: that would be this program's CPU time only.
    if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
        die(options.certificate);
    }
    Storm storm(options, context.get());
    storm.run(options.seconds);
    storm.report();
    return 0;
}
