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
class RecentBoots {
public:
    RecentBoots(std::size_t limit, SteadyTime::duration age) : limit_(limit), age_(age) {}

    // `who` is the tenant and the source address: no other tenant's machine is ever meant.
    void note(const std::string& who, std::string set, SteadyTime now) {
        const std::lock_guard lock(mutex_);
        if (const auto found = index_.find(who); found != index_.end()) {
            entries_.erase(found->second);
            index_.erase(found);
        }
        entries_.push_front({who, std::move(set), now});
        index_[who] = entries_.begin();
        if (entries_.size() <= limit_) return;
        index_.erase(entries_.back().who);
        entries_.pop_back();
    }
    std::optional<std::string> set_of(const std::string& who, SteadyTime now) const {
        const std::lock_guard lock(mutex_);
        const auto found = index_.find(who);
        if (found == index_.end() || now - found->second->time > age_) return std::nullopt;
        return found->second->set;
    }

private:
    struct Entry {
        std::string who;
        std::string set;
        SteadyTime time;
    };
    const std::size_t limit_;
    const SteadyTime::duration age_;
    mutable std::mutex mutex_;
    std::list<Entry> entries_;  // newest first
    std::unordered_map<std::string, std::list<Entry>::iterator> index_;
};

}  // namespace nett::metadata
