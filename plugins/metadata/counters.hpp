// What the server counts; for `show metadata`.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// Any thread; each number alone is exact, together they may be a request apart.
struct Counters {
    using Number = std::atomic<std::uint64_t>;

    Number accepted{0};
    Number handshakes_failed{0};
    Number timeouts{0};        // of handshakes, idle connections and stalled readers
    Number shed{0};            // connections above max-connections, answered 503
    Number closed_unheard{0};  // connections above that, or above max-connections-per-source
    Number bytes_sent{0};
    std::array<Number, kOutcomes> outcomes{};

    void count(Outcome outcome) { outcomes[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed); }
    static void add(Number& number, std::uint64_t by = 1) { number.fetch_add(by, std::memory_order_relaxed); }
};

}  // namespace nett::metadata
