// What requests leave behind in the state file without anyone waiting for it: boot counters and unknown machines.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/store.hpp"
#include "agent/sdk/task_group.hpp"

namespace nett::metadata {

// Collects and coalesces; one task on the loop thread writes, at most one round in kRecordInterval, so that no client
// can make the state file write faster. Both collections are bounded; what does not fit is counted as dropped.
class Recorder {
public:
    Recorder(Store& store, asio::any_io_executor loop, const Clock& clock);

    // Loop thread. Reads the unknown machines recorded before.
    Result<void> start();
    // Loop thread. Writes what is pending, then ends.
    Awaitable<void> stop();

    // Any thread. `key` is the machine record's key.
    void note_boot(const std::string& key, BootRecord boot);
    // One request of a machine that nobody registered; `seen.id` is not empty.
    void note_unknown(UnknownMachine seen);
    std::uint64_t dropped() const;

private:
    struct PendingBoots {
        std::uint64_t count = 0;
        // At most kBootHistoryLength, newest last; of requests that are one boot only the first and the last.
        std::vector<BootRecord> last;
        void add(BootRecord boot);
    };
    struct Known {
        UnknownMachine machine;
        Revision revision = 0;
    };
    struct Pending {
        std::map<std::string, PendingBoots> boots;
        std::map<std::string, UnknownMachine> unknown;
        bool empty() const { return boots.empty() && unknown.empty(); }
    };

    using BootBatch = std::vector<std::pair<std::string, PendingBoots>>;

    void wake();
    Pending take();
    Awaitable<void> run();
    Awaitable<void> write_boots(std::map<std::string, PendingBoots> boots);
    void put_back(const std::string& key, PendingBoots earlier);
    Awaitable<void> write_batch(BootBatch batch);
    // What the history is after these boots, given what is stored.
    static Result<Transaction::Put> history_put(const std::string& key, const PendingBoots& boots,
                                                const std::optional<Record>& record);
    Awaitable<void> write_unknown(std::map<std::string, UnknownMachine> unknown);
    void evict(const std::string& tenant, Transaction& transaction) const;
    void follow(const Change& change);

    Store& store_;
    asio::any_io_executor loop_;
    const Clock& clock_;
    Logger log_{"metadata"};
    TaskGroup tasks_;
    std::shared_ptr<asio::steady_timer> signal_;  // shared with posted wake-ups, which may outlive the recorder
    Subscription watch_;
    std::map<std::string, Known> known_;  // what the store holds; loop thread
    bool stopping_ = false;               // loop thread

    mutable std::mutex mutex_;  // guards what follows
    Pending pending_;
    std::uint64_t dropped_ = 0;
};

}  // namespace nett::metadata
