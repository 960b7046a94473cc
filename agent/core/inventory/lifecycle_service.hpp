// What moves machines through their lifecycle without anybody asking: deadlines, and confirmations by the fabric or by
// the config's being fetched. (Boot loops are broken at the boot request itself, by the metadata plugin.)
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "agent/core/inventory/inventory.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

// How often deadlines are looked at, at the latest: a wall clock that is set meanwhile is noticed.
inline constexpr std::chrono::seconds kDeadlineGranularity{30};

// Follows the records and the events, and calls Inventory's use cases, which look again at what is there. Of each
// machine it keeps the time of its deadline and no more. Loop thread only.
class LifecycleService {
public:
    // References outlive the service.
    LifecycleService(asio::any_io_executor loop, Store& store, Inventory& inventory, EventBus& events,
                     const Clock& clock);

    // Reads all machines in turns of the loop, so that it does not stand still for a hundred thousand of them.
    void start();
    // Ends; waits for what is under way.
    Awaitable<void> stop();

    std::size_t deadlines() const { return due_.size(); }

private:
    void follow(const Change& change);
    void on_event(const Event& event);
    void on_prefix(const Event& event);
    void note(const Machine& machine);
    void forget(const std::string& machine);
    void retry_later(const std::string& machine);
    Awaitable<void> run();
    Awaitable<void> read_all();
    Awaitable<void> hold_late_ones();
    Awaitable<void> confirm_seen_ones();
    SystemTime next_wake() const;
    void wake();
    void report(std::string_view doing, const std::string& machine, const Result<Revision>& done) const;

    asio::any_io_executor loop_;
    Store& store_;
    Inventory& inventory_;
    EventBus& events_;
    const Clock& clock_;
    Logger log_{"lifecycle"};
    asio::steady_timer timer_;
    asio::steady_timer ended_;
    Subscription machines_;
    Subscription profiles_;
    Subscription happenings_;
    std::map<std::string, SystemTime> deadline_of_;                  // by machine
    std::set<std::pair<SystemTime, std::string>> due_;               // the same, by time
    std::map<std::string, std::pair<ConfirmBy, std::string>> seen_;  // to confirm: how, and why
    bool read_all_wanted_ = false;
    bool running_ = false;
    bool stopping_ = false;
};

}  // namespace nett
