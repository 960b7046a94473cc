// Helper of kill_test.cpp: commits without end, several at a time, and prints "<key> <revision>" for each acknowledged
// one. With --measure: commits/s and point reads/s, once.
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/core/store/sqlite_store.hpp"

namespace {

using namespace nett;

Transaction numbered(const std::string& key) {
    Transaction transaction;
    transaction.puts.push_back({"machine", key, "value of " + key, {{"uuid", key}}});
    transaction.actor = "writer";
    return transaction;
}

Awaitable<void> write_for_ever(SqliteStore& store, int lane) {
    for (int i = 0;; ++i) {
        const auto key = fmt::format("{}-{}", lane, i);
        const auto revision = co_await store.commit(numbered(key));
        if (!revision) ::_exit(2);
        const auto line = fmt::format("{} {}\n", key, *revision);
        // One write a line: lines of a killed process are whole.
        if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
    }
}

Awaitable<void> write_some(SqliteStore& store, int lane, int count) {
    for (int i = 0; i < count; ++i) {
        const auto revision = co_await store.commit(numbered(fmt::format("{}-{}", lane, i)));
        if (!revision) ::_exit(2);
    }
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void measure(asio::io_context& loop, SqliteStore& store) {
    for (const int lanes : {1, 16, 128}) {
        const int each = 2048 / lanes;
        const auto start = std::chrono::steady_clock::now();
        for (int lane = 0; lane < lanes; ++lane) asio::co_spawn(loop, write_some(store, lane, each), asio::detached);
        loop.restart();
        loop.run();
        fmt::print("{} committers: {:.0f} commits/s\n", lanes, lanes * each / seconds_since(start));
    }
    constexpr int kReads = 200'000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kReads; ++i) {
        if (!store.find("machine", "uuid", fmt::format("0-{}", i % 2048))) ::_exit(4);
    }
    const double seconds = seconds_since(start);
    fmt::print("point reads by index: {:.0f}/s, {:.2f} us each\n", kReads / seconds, 1e6 * seconds / kReads);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 1;
    asio::io_context loop{1};
    auto store = SqliteStore::open(argv[1], loop.get_executor());
    if (!store) {
        fmt::print(stderr, "{}\n", store.error().to_string());
        return 1;
    }
    if (argc > 2) {
        measure(loop, **store);
        return 0;
    }
    constexpr int kLanes = 8;
    for (int lane = 0; lane < kLanes; ++lane) asio::co_spawn(loop, write_for_ever(**store, lane), asio::detached);
    loop.run();
    return 0;
}
