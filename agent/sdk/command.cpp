#include "agent/sdk/command.hpp"

#include <boost/asio/this_coro.hpp>

namespace nett {

Awaitable<void> interruptible_waits() {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
}

}  // namespace nett
