// Mutual exclusion between coroutines of the loop thread that await in the middle of their work.
#pragma once

#include <deque>
#include <utility>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/asio.hpp"

namespace nett {

// First come, first served. Loop thread only.
class AsyncMutex {
public:
    // Holds the mutex until destroyed. Move-only.
    class Guard {
    public:
        explicit Guard(AsyncMutex& mutex) : mutex_(&mutex) {}
        Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Guard& operator=(Guard&&) = delete;
        ~Guard() {
            if (mutex_ != nullptr) mutex_->unlock();
        }

    private:
        AsyncMutex* mutex_;
    };

    Awaitable<Guard> lock() {
        if (!std::exchange(locked_, true)) co_return Guard(*this);
        auto executor = co_await asio::this_coro::executor;
        auto wait = [this, executor](auto handler) { waiting_.push_back({executor, std::move(handler)}); };
        co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(wait, asio::use_awaitable);
        co_return Guard(*this);
    }

private:
    struct Waiter {
        asio::any_io_executor executor;
        asio::any_completion_handler<void()> resume;
    };

    // The lock goes to the next in line without being free in between.
    void unlock() {
        if (waiting_.empty()) {
            locked_ = false;
            return;
        }
        auto next = std::move(waiting_.front());
        waiting_.pop_front();
        asio::post(next.executor, std::move(next.resume));
    }

    bool locked_ = false;
    std::deque<Waiter> waiting_;
};

}  // namespace nett
