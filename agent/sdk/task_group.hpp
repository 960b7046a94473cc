// Coroutines of one owner on the loop thread, so that none of them outlives it. An exception that ends one is a line of
// the owner's log.
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

namespace nett {

// Loop thread only. The owner makes its tasks end, then joins, then goes.
class TaskGroup {
public:
    TaskGroup(asio::any_io_executor loop, Logger log) : loop_(loop), log_(std::move(log)), ended_(loop) {
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
    Logger log_;
    asio::steady_timer ended_;
    std::size_t running_ = 0;
};

}  // namespace nett
