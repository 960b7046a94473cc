// Orders to wipe that may be used up unserved. Servers that share their state send a machine to its disk when the write
// that uses its order up is not answered in time; that write may be stored later all the same. Then the order is put
// back.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/store.hpp"
#include "agent/sdk/subscription.hpp"
#include "agent/sdk/task_group.hpp"

namespace nett::metadata {

// In memory: an agent that ends first leaves the machine as it is, and so does one whose copy of the state comes as a
// snapshot, which does not say who wrote. Nothing is ever wiped twice for one order.
class LateWipes {
public:
    // All outlive it.
    LateWipes(Store& store, EventBus& events, asio::any_io_executor loop);

    // Loop thread.
    void start();
    // Loop thread. What is in doubt then stays as it is.
    Awaitable<void> stop();

    // Any thread. A write begins that uses an order up: of the record `key`, which is `before` at `revision`. `reason`
    // is the transaction's, and no other one's: the watch tells by it whose a change is.
    void begin(const std::string& reason, std::string key, Machine before, Revision revision);
    // It was answered, whatever the answer.
    void answered(const std::string& reason);
    // It was not, and the machine was sent to its disk.
    void given_up(const std::string& reason);

private:
    struct Write {
        std::string key;
        Machine before;
        Revision revision = 0;
        Revision stored = 0;  // that the watch told; 0: not seen
        bool given_up = false;
    };
    enum class Look { kSettled, kNothingYet, kAgain };

    void follow(const Change& change);
    Awaitable<void> run();
    Awaitable<Look> settle(Write write);
    void tell(const std::string& type, const Machine& machine, const std::string& text);

    Store& store_;
    EventBus& events_;
    asio::any_io_executor loop_;
    Logger log_{"metadata"};
    TaskGroup tasks_;
    std::shared_ptr<asio::steady_timer> signal_;  // shared with posted wake-ups, which may outlive this
    Subscription watch_;
    bool stopping_ = false;  // loop thread

    std::mutex mutex_;                   // guards what follows
    std::map<std::string, Write> open_;  // by reason
    bool changed_ = false;               // since run() looked
};

}  // namespace nett::metadata
