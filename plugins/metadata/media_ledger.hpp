// What was fetched of each media grant's image. Pure: ranges and times in, records out.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/sdk/media.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// The bytes of a file that were sent at least once. A BMC mounts an image with some 3,000 ranges, many of them twice.
class Coverage {
public:
    // What does not fit into kMaxMediaGaps pieces is left out: the image then never counts as complete.
    void add(ByteRange range);
    bool covers(std::uint64_t size) const;
    std::size_t pieces() const { return pieces_.size(); }

private:
    std::map<std::uint64_t, std::uint64_t> pieces_;  // first byte → one past the last; disjoint, not touching
};

// Thread-safe. Bounded by the number of grants: what is forgotten with its grant must be forgotten here.
class MediaLedger {
public:
    // What a note made of its grant's use.
    enum class News { kNone, kFirst, kComplete };

    // Uses of an earlier run of the agent: their numbers go on, their coverage begins anew.
    void load(MediaUse use);
    void note_request(const MediaGrant& grant, std::uint64_t size, const std::string& source, SystemTime now);
    News note_sent(const std::string& key, ByteRange range, SystemTime now);
    void forget(const std::string& key);

    // The uses that changed since the last call.
    std::vector<MediaUse> take_changed();
    std::vector<MediaUse> all() const;

private:
    struct Entry {
        MediaUse use;
        Coverage coverage;
        bool changed = false;
    };

    mutable std::mutex mutex_;
    std::map<std::string, Entry> entries_;
};

}  // namespace nett::metadata
