// What the server counts; for `show metadata` and `show tls`.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "plugins/metadata/http.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

// How often each reason; the first kMaxRefusalReasons apart, all others as one. Thread-safe.
class ReasonCounter {
public:
    void count(const std::string& reason) {
        const std::lock_guard lock(mutex_);
        const bool known = reasons_.contains(reason) || reasons_.size() < kMaxRefusalReasons;
        ++reasons_[known ? reason : "other reasons"];
    }
    std::map<std::string, std::uint64_t> reasons() const {
        const std::lock_guard lock(mutex_);
        return reasons_;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::uint64_t> reasons_;
};

// Any thread; each number alone is exact, together they may be a request apart.
struct Counters {
    using Number = std::atomic<std::uint64_t>;

    Number accepted{0};
    Number handshakes_full{0};
    Number handshakes_resumed{0};
    Number handshakes_failed{0};
    ReasonCounter refusals;    // of the failed handshakes
    Number timeouts{0};        // of handshakes, idle connections and stalled readers
    Number shed{0};            // connections above max-connections, answered 503
    Number closed_unheard{0};  // connections above that, or above max-connections-per-source
    Number bytes_sent{0};
    std::array<Number, kOutcomes> outcomes{};

    void count(Outcome outcome) { outcomes[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed); }
    static void add(Number& number, std::uint64_t by = 1) { number.fetch_add(by, std::memory_order_relaxed); }
};

}  // namespace nett::metadata
