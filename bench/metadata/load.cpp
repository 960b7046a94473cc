// A load client for mutual TLS: one thread, epoll and OpenSSL, many connections that each ask one thing after another.
//
// It measures the server beside it, so it does as little as it can; its own CPU time counts for nobody. The last line
// of its output is one JSON object. `load --help` lists the modes.
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
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <CLI/CLI.hpp>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::string mode;
    std::string address = "::1";
    std::uint16_t port = 0;
    std::string ca, certificate, key;
    std::string version = "1.2";
    std::vector<std::string> paths;
    std::string paths_file;
    int connections = 1;
    double seconds = 2;
};

// What a mode does with a connection.
struct Behaviour {
    bool keep_alive = false;  // ask again on the same connection
    bool resume = false;      // a new connection resumes the last session
    bool ask = true;          // else: stay idle after the handshake
    bool read = true;         // else: ask, and take nothing of the answer
    bool stay = false;        // the connections are held until standard input ends
};

Behaviour behaviour_of(const std::string& mode) {
    if (mode == "full") return {};
    if (mode == "resumed") return {.resume = true};
    if (mode == "keepalive") return {.keep_alive = true};
    if (mode == "idle") return {.ask = false, .stay = true};
    return {.read = false, .stay = true};  // slow
}

struct Totals {
    std::uint64_t answers = 0;
    std::uint64_t good = 0;  // status 200
    std::uint64_t bytes = 0;
    std::uint64_t errors = 0;
    std::uint64_t resumed = 0;
    std::vector<std::uint32_t> microseconds;
};

[[noreturn]] void die(std::string_view what) {
    fmt::print(stderr, "load: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

class Client {
public:
    Client(const Options& options, SSL_CTX* context)
        : options_(options), behaviour_(behaviour_of(options.mode)), context_(context), epoll_(epoll_create1(0)) {
        address_.sin6_family = AF_INET6;
        address_.sin6_port = htons(options.port);
        if (inet_pton(AF_INET6, options.address.c_str(), &address_.sin6_addr) != 1) die("address");
        for (const auto& path : options.paths) {
            requests_.push_back(
                fmt::format("GET {} HTTP/1.1\r\nHost: [{}]:{}\r\nUser-Agent: iPXE/2.0.0\r\n"
                            "Connection: keep-alive\r\n\r\n",
                            path, options.address, options.port));
        }
    }

    void run() {
        connections_.resize(static_cast<std::size_t>(options_.connections));
        const auto end =
            Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
        if (behaviour_.stay) return hold();
        for (auto& one : connections_) open(one);
        while (Clock::now() < end) turn(50);
    }
    const Totals& totals() const { return totals_; }

private:
    struct Connection {
        int fd = -1;
        std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, SSL_free};
        bool secured = false;
        bool asked = false;
        bool settled = false;  // of a connection that is held: has what it waits for
        std::string head;
        std::uint64_t left = 0;  // of the body
        bool in_body = false;
        Clock::time_point since;
    };

    // A few at a time: a listener's backlog is finite.
    void hold() {
        constexpr std::size_t kAtOnce = 64;
        for (auto& one : connections_) {
            open(one);
            while (++opened_ - settled_ > kAtOnce) {
                --opened_;
                turn(1000);
            }
        }
        const auto give_up = Clock::now() + std::chrono::seconds(30);
        while (settled_ + totals_.errors < connections_.size() && Clock::now() < give_up) turn(100);
        fmt::print("held {}\n", settled_);
        std::fflush(stdout);
        char byte = 0;
        while (::read(STDIN_FILENO, &byte, 1) > 0) {
        }
    }

    void turn(int timeout) {
        std::array<epoll_event, 64> events;
        const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
        for (int i = 0; i < count; ++i) {
            auto& one = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            advance(one);
        }
    }

    void open(Connection& one) {
        one = Connection{};
        one.fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (one.fd < 0) die("socket");
        const int on = 1;
        ::setsockopt(one.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!behaviour_.read) {
            const int small = 4096;
            ::setsockopt(one.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        }
        one.since = Clock::now();
        if (::connect(one.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0 &&
            errno != EINPROGRESS) {
            die("connect");
        }
        one.ssl.reset(SSL_new(context_));
        if (behaviour_.resume && session_) SSL_set_session(one.ssl.get(), session_.get());
        SSL_set_fd(one.ssl.get(), one.fd);
        SSL_set_connect_state(one.ssl.get());
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.ptr = &one;
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event) != 0) die("epoll_ctl");
    }

    void again(Connection& one, bool failed) {
        if (failed) ++totals_.errors;
        if (behaviour_.stay) return;
        // Without this OpenSSL would not resume its session.
        SSL_set_shutdown(one.ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        one.ssl.reset();
        ::close(one.fd);
        open(one);
    }

    // As far as it goes without waiting.
    void advance(Connection& one) {
        if (!one.secured) {
            const int status = SSL_do_handshake(one.ssl.get());
            if (status != 1) {
                if (!waits(one, status)) again(one, true);
                return;
            }
            one.secured = true;
            if (SSL_session_reused(one.ssl.get()) == 1) ++totals_.resumed;
            if (!behaviour_.ask) settle(one);
        }
        if (behaviour_.ask && !one.asked) ask(one);
        if (!behaviour_.read) return settle(one);
        if (behaviour_.ask) read(one);
    }

    void settle(Connection& one) {
        if (!std::exchange(one.settled, true)) ++settled_;
    }

    void ask(Connection& one) {
        const auto& request = requests_[next_++ % requests_.size()];
        if (behaviour_.keep_alive) one.since = Clock::now();
        SSL_write(one.ssl.get(), request.data(), static_cast<int>(request.size()));
        one.asked = true;
    }

    void read(Connection& one) {
        thread_local std::vector<char> buffer(256 * 1024);
        for (;;) {
            const int got = SSL_read(one.ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
            if (got <= 0) {
                if (!waits(one, got)) again(one, true);
                return;
            }
            if (!take(one, {buffer.data(), static_cast<std::size_t>(got)})) continue;
            finished(one);
            if (!behaviour_.keep_alive) return again(one, false);
            ask(one);
        }
    }

    // True when the answer is complete.
    bool take(Connection& one, std::string_view bytes) {
        totals_.bytes += bytes.size();
        if (!one.in_body) {
            one.head += bytes;
            const auto end = one.head.find("\r\n\r\n");
            if (end == std::string::npos) return false;
            const auto length = one.head.find("Content-Length: ");
            one.left = length == std::string::npos ? 0 : std::stoull(one.head.substr(length + 16));
            one.in_body = true;
            bytes = bytes.substr(bytes.size() - (one.head.size() - end - 4));
        }
        one.left -= bytes.size();
        return one.left == 0;
    }

    void finished(Connection& one) {
        ++totals_.answers;
        if (one.head.starts_with("HTTP/1.1 200")) ++totals_.good;
        totals_.microseconds.push_back(static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - one.since).count()));
        one.head.clear();
        one.in_body = false;
        if (behaviour_.resume) session_.reset(SSL_get1_session(one.ssl.get()));
    }

    bool waits(Connection& one, int status) {
        const int error = SSL_get_error(one.ssl.get(), status);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    }

    const Options& options_;
    const Behaviour behaviour_;
    SSL_CTX* context_;
    const int epoll_;
    sockaddr_in6 address_{};
    std::vector<std::string> requests_;
    std::size_t next_ = 0;
    std::vector<Connection> connections_;
    std::size_t opened_ = 0;
    std::size_t settled_ = 0;
    std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session_{nullptr, SSL_SESSION_free};
    Totals totals_;
};

std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> make_context(const Options& options) {
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    const int version = options.version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    // The server's certificate is not checked: that would be this program's CPU time only.
    if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
        die(options.certificate);
    }
    return context;
}

std::uint32_t percentile(std::vector<std::uint32_t> values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("Load over mutual TLS");
    app.add_option("mode", options.mode, "full | resumed | keepalive | idle | slow")
        ->required()
        ->check(CLI::IsMember({"full", "resumed", "keepalive", "idle", "slow"}));
    app.add_option("--address", options.address, "IPv6 address of the server");
    app.add_option("--port", options.port)->required();
    app.add_option("--certificate", options.certificate, "the client's, PEM")->required();
    app.add_option("--key", options.key, "the client's, PEM")->required();
    app.add_option("--tls", options.version, "1.2 | 1.3");
    app.add_option("--path", options.paths, "asked one after another");
    app.add_option("--paths", options.paths_file, "a file of paths, one a line");
    app.add_option("--connections", options.connections);
    app.add_option("--seconds", options.seconds);
    CLI11_PARSE(app, argc, argv);
    std::ifstream lines(options.paths_file);
    for (std::string line; std::getline(lines, line);) options.paths.push_back(line);

    const auto context = make_context(options);
    Client client(options, context.get());
    client.run();
    const auto& totals = client.totals();
    fmt::print(
        "{{\"answers\": {}, \"good\": {}, \"bytes\": {}, \"errors\": {}, \"resumed\": {}, \"p50_us\": {}, \"p99_us\": "
        "{}}}\n",
        totals.answers, totals.good, totals.bytes, totals.errors, totals.resumed, percentile(totals.microseconds, 0.5),
        percentile(totals.microseconds, 0.99));
    return 0;
}
