#include "plugins/metadata/media_ledger.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

void Coverage::add(ByteRange range) {
    if (range.count == 0) return;
    std::uint64_t first = range.first;
    std::uint64_t end = range.first + range.count;
    auto at = pieces_.upper_bound(first);
    if (at != pieces_.begin() && std::prev(at)->second >= first) --at;
    const auto merged_from = at;
    while (at != pieces_.end() && at->first <= end) {
        first = std::min(first, at->first);
        end = std::max(end, at->second);
        ++at;
    }
    if (merged_from == at && pieces_.size() >= kMaxMediaGaps) return;
    pieces_.erase(merged_from, at);
    pieces_[first] = end;
}

bool Coverage::covers(std::uint64_t size) const {
    return pieces_.size() == 1 && pieces_.begin()->first == 0 && pieces_.begin()->second >= size;
}

void MediaLedger::load(MediaUse use) {
    const std::lock_guard lock(mutex_);
    const auto key = use.token_sha256;
    entries_[key].use = std::move(use);
}

void MediaLedger::note_request(const MediaGrant& grant, std::uint64_t size, const std::string& source, SystemTime now) {
    const std::lock_guard lock(mutex_);
    auto& entry = entries_[grant.token_sha256];
    auto& use = entry.use;
    if (use.requests == 0) {
        use.token_sha256 = grant.token_sha256;
        use.job = grant.job;
        use.machine = grant.machine;
        use.first = now;
    }
    use.size = size;
    use.source = source;
    use.last = now;
    use.requests += 1;
    entry.changed = true;
}

MediaLedger::News MediaLedger::note_sent(const std::string& key, ByteRange range, SystemTime now) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return News::kNone;  // the grant went while its answer was under way
    auto& [use, coverage, changed] = found->second;
    const bool first = use.bytes == 0;
    use.bytes += range.count;
    use.last = now;
    changed = true;
    coverage.add(range);
    if (!use.complete && coverage.covers(use.size)) {
        use.complete = true;
        return News::kComplete;
    }
    return first ? News::kFirst : News::kNone;
}

void MediaLedger::forget(const std::string& key) {
    const std::lock_guard lock(mutex_);
    entries_.erase(key);
}

std::vector<MediaUse> MediaLedger::take_changed() {
    const std::lock_guard lock(mutex_);
    std::vector<MediaUse> out;
    for (auto& [key, entry] : entries_) {
        if (std::exchange(entry.changed, false)) out.push_back(entry.use);
    }
    return out;
}

std::vector<MediaUse> MediaLedger::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<MediaUse> out;
    for (const auto& [key, entry] : entries_) out.push_back(entry.use);
    return out;
}

}  // namespace nett::metadata
