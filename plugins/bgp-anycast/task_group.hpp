// Coroutines of one owner on the loop thread, so that none of them outlives it.
#pragma once

#include <cstddef>
#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/log.hpp"

namespace nett::anycast {

// Loop thread only. The owner makes its tasks end, then joins, then goes.
class TaskGroup {
public:
    explicit TaskGroup(asio::any_io_executor loop) : loop_(loop), ended_(loop) {
        ended_.expires_at(asio::steady_timer::time_point::max());
    }

    void spawn(Awaitable<void> task) {
        ++running_;
        asio::co_spawn(loop_, std::move(task), [this](std::exception_ptr failure) {
            if (failure) log_.error("a task ended by an exception; please report it");
            if (--running_ == 0) ended_.cancel();
        });
    }
    Awaitable<void> join() {
        while (running_ > 0) co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
    }

private:
    asio::any_io_executor loop_;
    Logger log_{"bgp-anycast"};
    asio::steady_timer ended_;
    std::size_t running_ = 0;
};

}  // namespace nett::anycast
