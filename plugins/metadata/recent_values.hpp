// Which set the last boot script named, by who asked: for the document's flat artifact names, when they are asked for
// on another connection than the script was.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "agent/sdk/clock.hpp"

namespace nett::metadata {

// Thread-safe. Bounded: the oldest entry makes room.
class RecentValues {
public:
    RecentValues(std::size_t limit, SteadyTime::duration age) : limit_(limit), age_(age) {}

    void note(const std::string& key, std::string value, SteadyTime now) {
        const std::lock_guard lock(mutex_);
        if (const auto found = index_.find(key); found != index_.end()) {
            found->second->value = std::move(value);
            found->second->time = now;
            entries_.splice(entries_.begin(), entries_, found->second);
            return;
        }
        entries_.push_front({key, std::move(value), now});
        index_[key] = entries_.begin();
        if (entries_.size() <= limit_) return;
        index_.erase(entries_.back().key);
        entries_.pop_back();
    }
    std::optional<std::string> get(const std::string& key, SteadyTime now) const {
        const std::lock_guard lock(mutex_);
        const auto found = index_.find(key);
        if (found == index_.end() || now - found->second->time > age_) return std::nullopt;
        return found->second->value;
    }

private:
    struct Entry {
        std::string key;
        std::string value;
        SteadyTime time;
    };
    const std::size_t limit_;
    const SteadyTime::duration age_;
    mutable std::mutex mutex_;
    std::list<Entry> entries_;  // newest first
    std::unordered_map<std::string, std::list<Entry>::iterator> index_;
};

}  // namespace nett::metadata
