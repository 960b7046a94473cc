#include "agent/core/audit/refusals.hpp"

#include <utility>

namespace nett {

std::optional<unsigned> RefusalLimit::admit(const std::string& actor, SteadyTime now) {
    if (counts_.size() >= kMaxRefusedCallers) {
        std::erase_if(counts_, [now](const auto& entry) {
            return now - entry.second.since >= kRefusalWindow && entry.second.left_out == 0;
        });
    }
    const bool known = counts_.contains(actor) || counts_.size() < kMaxRefusedCallers;
    auto& count = counts_[known ? actor : std::string()];
    if (count.seen == 0 || now - count.since >= kRefusalWindow) {
        count.since = now;
        count.seen = 0;
    }
    if (++count.seen <= kMaxRefusals) return std::exchange(count.left_out, 0);
    ++count.left_out;
    return std::nullopt;
}

}  // namespace nett
