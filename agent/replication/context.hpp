// What the parts of the replication share.
#pragma once

#include <chrono>
#include <string>

#include "agent/core/store/sqlite_store.hpp"
#include "agent/replication/etcd.hpp"
#include "agent/replication/layout.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/secret.hpp"

namespace nett::replication {

struct Settings {
    EtcdSettings etcd;
    std::string prefix = "/nett";
    std::chrono::seconds max_lag{10};
};

// References outlive the replication.
struct Context {
    asio::any_io_executor loop;
    const Clock& clock;
    SqliteStore& file;
    const SecretBox& secrets;
    Etcd& etcd;
    Layout layout;
    std::string name;      // of this server: its host name
    std::string instance;  // of its state file
    std::string version;
};

// A wait of a coroutine that others can end, on the loop.
class Signal {
public:
    explicit Signal(asio::any_io_executor loop);
    // True when it was notified before `until`.
    Awaitable<bool> wait(SteadyTime until);
    void notify();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace nett::replication
