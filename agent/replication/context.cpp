#include "agent/replication/context.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett::replication {

struct Signal::State {
    explicit State(asio::any_io_executor loop) : timer(loop) {}
    asio::steady_timer timer;
};

Signal::Signal(asio::any_io_executor loop) : state_(std::make_shared<State>(loop)) {}

Awaitable<bool> Signal::wait(SteadyTime until) {
    const auto state = state_;
    state->timer.expires_at(until);
    boost::system::error_code ended;
    co_await state->timer.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    co_return ended == asio::error::operation_aborted;
}

void Signal::notify() {
    state_->timer.cancel();
}

}  // namespace nett::replication
