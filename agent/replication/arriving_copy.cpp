#include "agent/replication/arriving_copy.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett::replication {

void ArrivingCopy::attach(UniqueFd reader, std::uint64_t received) {
    const std::lock_guard lock(mutex_);
    reader_ = std::move(reader);
    received_ = received;
    resume_ready();
}

void ArrivingCopy::grew(std::uint64_t received) {
    const std::lock_guard lock(mutex_);
    received_ = received;
    resume_ready();
}

void ArrivingCopy::complete() {
    const std::lock_guard lock(mutex_);
    whole_ = true;
    received_ = size_;
    resume_ready();
}

void ArrivingCopy::give_up(Error reason) {
    const std::lock_guard lock(mutex_);
    if (!failure_ && !whole_) failure_ = std::move(reason);
    resume_ready();
}

void ArrivingCopy::interrupt(const Error& reason) {
    const std::lock_guard lock(mutex_);
    for (auto& waiter : waiting_) {
        asio::post(waiter.executor, [resume = std::move(waiter.resume), reason]() mutable {
            std::move(resume)(Result<void>(fail(reason)));
        });
    }
    waiting_.clear();
}

std::uint64_t ArrivingCopy::received() const {
    const std::lock_guard lock(mutex_);
    return received_;
}

std::uint64_t ArrivingCopy::readable() const {
    if (whole_) return size_;
    return std::min(received_, size_ - std::min(size_, kWithheldBytes));
}

std::optional<Result<void>> ArrivingCopy::verdict(std::uint64_t offset) const {
    if (failure_) return Result<void>(fail(Error(*failure_)));
    if (offset < readable() || whole_) return Result<void>{};
    return std::nullopt;
}

void ArrivingCopy::resume_ready() {
    std::erase_if(waiting_, [this](Waiter& waiter) {
        auto result = verdict(waiter.offset);
        if (!result) return false;
        asio::post(waiter.executor, [resume = std::move(waiter.resume), result = std::move(*result)]() mutable {
            std::move(resume)(std::move(result));
        });
        return true;
    });
}

Result<std::size_t> ArrivingCopy::read_at(std::uint64_t offset, char* buffer, std::size_t length) const {
    const std::lock_guard lock(mutex_);  // the reader must not change under a read
    if (failure_) return fail(Error(*failure_));
    const auto end = readable();
    if (offset >= end && !whole_) return fail(Code::kUnavailable, "has not arrived yet");
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, end - std::min(end, offset)));
    std::size_t done = 0;
    while (done < wanted) {
        const auto got = ::pread(reader_.get(), buffer + done, wanted - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::kInternal, "reading a file that arrives: {}", std::strerror(errno));
        if (got == 0) return fail(Code::kDataLoss, "a file that arrives has been cut");
        done += static_cast<std::size_t>(got);
    }
    return done;
}

Awaitable<Result<void>> ArrivingCopy::wait(std::uint64_t offset) {
    const auto executor = co_await asio::this_coro::executor;
    auto begin = [this, executor, offset](auto handler) {
        asio::any_completion_handler<void(Result<void>)> resume(std::move(handler));
        const std::lock_guard lock(mutex_);
        waiting_.push_back({offset, executor, std::move(resume)});
        resume_ready();
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(begin,
                                                                                               asio::use_awaitable);
}

}  // namespace nett::replication
