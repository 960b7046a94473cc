// What must survive a restart of the agent: the operator's mode, and the history of announcements. Kept in the state
// file, kind "anycast", keys "mode" and "history".
#pragma once

#include <deque>
#include <string>

#include "agent/sdk/store.hpp"
#include "agent/sdk/task_group.hpp"
#include "plugins/bgp-anycast/decision.hpp"

namespace nett::anycast {

inline constexpr const char* kAnycastKind = "anycast";
inline constexpr std::size_t kHistoryLength = 200;  // some 40 kB; a flapping server adds 20 entries an hour at most

struct ModeRecord {
    Mode mode = Mode::kActive;
    std::string note;   // the operator's reason
    std::string actor;  // who set it
    SystemTime since{};
};

struct HistoryEntry {
    SystemTime time{};
    std::string state;  // a stance, or "started", "stopped", "mode drain"
    std::string reason;
};

// JSON of the two records. Unknown members are ignored; kDataLoss when it is not such a record.
std::string encode(const ModeRecord& mode);
Result<ModeRecord> decode_mode(std::string_view text);
std::string encode(const std::deque<HistoryEntry>& history);
Result<std::deque<HistoryEntry>> decode_history(std::string_view text);

// Loop thread only.
class Journal {
public:
    Journal(asio::any_io_executor loop, Store& store) : store_(store), tasks_(loop, Logger("bgp-anycast")) {}

    // Reads both. A record that cannot be read: the mode is then maintenance, because what the operator wanted is
    // unknown and an announcement may harm; the history begins anew.
    void load();

    const ModeRecord& mode() const { return mode_; }
    // In force once it is on disk.
    Awaitable<Result<void>> set_mode(ModeRecord mode);

    const std::deque<HistoryEntry>& history() const { return history_; }  // oldest first
    // Written soon, several at once when they come fast.
    void record(HistoryEntry entry);
    // Until all is written.
    Awaitable<void> stop();

private:
    Awaitable<void> write_history();

    Store& store_;
    TaskGroup tasks_;
    ModeRecord mode_;
    std::deque<HistoryEntry> history_;
    bool dirty_ = false;
    bool writing_ = false;
};

}  // namespace nett::anycast
