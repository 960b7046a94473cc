// Who wants to hear of changes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/sdk/store.hpp"

namespace nett {

// Loop thread only. Held by shared_ptr: subscriptions and deliveries under way may outlive the store.
class WatchHub : public std::enable_shared_from_this<WatchHub> {
public:
    using Observer = std::function<void(const Change&)>;

    // Changes of `kind` (empty: all) later than `after`.
    [[nodiscard]] Subscription subscribe(std::string kind, Revision after, Observer observer);
    // Observers may subscribe and unsubscribe while they are called. kLater: to those that subscribed before them.
    enum class To { kLater, kAll };
    void deliver(const std::vector<Change>& changes, To to = To::kLater);
    // Revisions begin anew: from here on everything is later.
    void forget_revisions();

private:
    struct Watcher {
        std::string kind;
        Revision after = 0;
        Observer observer;
    };

    std::map<std::uint64_t, std::shared_ptr<Watcher>> watchers_;
    std::uint64_t next_id_ = 1;
};

}  // namespace nett
