#include "plugins/bgp-anycast/journal.hpp"

#include <boost/json.hpp>

namespace nett::anycast {
namespace {

namespace json = boost::json;

const Logger kLog("bgp-anycast");
constexpr const char* kActor = "plugin:bgp-anycast";
constexpr const char* kModeKey = "mode";
constexpr const char* kHistoryKey = "history";

std::int64_t milliseconds_of(SystemTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

SystemTime time_of(const json::value& value) {
    return SystemTime(std::chrono::milliseconds(value.to_number<std::int64_t>()));
}

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* found = object.if_contains(key);
    return found == nullptr ? std::string() : std::string(found->as_string());
}

template <typename Function>
auto decoded(std::string_view what, Function&& function) -> Result<decltype(function())> {
    try {
        return function();
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "record anycast \"{}\" is not readable: {}", what, error.what());
    }
}

Transaction transaction_of(const char* key, std::string value, std::string actor, std::string reason) {
    Transaction transaction;
    transaction.puts.push_back({kAnycastKind, key, std::move(value)});
    transaction.actor = std::move(actor);
    transaction.reason = std::move(reason);
    return transaction;
}

}  // namespace

std::string encode(const ModeRecord& mode) {
    return json::serialize(json::object{{"mode", to_string(mode.mode)},
                                        {"note", mode.note},
                                        {"actor", mode.actor},
                                        {"since_ms", milliseconds_of(mode.since)}});
}

Result<ModeRecord> decode_mode(std::string_view text) {
    return decoded(kModeKey, [&] {
        json::value value = json::parse(text);
        const json::object& object = value.as_object();
        auto mode = mode_of(text_of(object, "mode"));
        if (!mode) throw std::runtime_error("no such mode");
        return ModeRecord{*mode, text_of(object, "note"), text_of(object, "actor"), time_of(object.at("since_ms"))};
    });
}

std::string encode(const std::deque<HistoryEntry>& history) {
    json::array entries;
    for (const HistoryEntry& entry : history) {
        entries.push_back(
            json::object{{"time_ms", milliseconds_of(entry.time)}, {"state", entry.state}, {"reason", entry.reason}});
    }
    return json::serialize(json::object{{"entries", std::move(entries)}});
}

Result<std::deque<HistoryEntry>> decode_history(std::string_view text) {
    return decoded(kHistoryKey, [&] {
        json::value value = json::parse(text);
        std::deque<HistoryEntry> history;
        for (const json::value& item : value.at("entries").as_array()) {
            const json::object& object = item.as_object();
            history.push_back({time_of(object.at("time_ms")), text_of(object, "state"), text_of(object, "reason")});
        }
        return history;
    });
}

void Journal::load() {
    auto read = [&](const char* key) -> Result<std::string> {
        auto record = store_.get(kAnycastKind, key);
        if (!record) return fail(std::move(record.error()));
        return *record ? (*record)->value : std::string();
    };
    auto mode_text = read(kModeKey);
    auto mode = !mode_text           ? fail(std::move(mode_text.error()))
                : mode_text->empty() ? Result<ModeRecord>(ModeRecord{})
                                     : decode_mode(*mode_text);
    if (mode) {
        mode_ = std::move(*mode);
    } else {
        kLog.error("the mode is not readable; \"anycast resume\" sets it anew", {{"error", mode.error()}});
        mode_ = {Mode::kMaintenance, mode.error().to_string(), kActor, {}};
    }
    auto history_text = read(kHistoryKey);
    history_.clear();
    if (!history_text || history_text->empty()) return;
    auto history = decode_history(*history_text);
    if (!history) return kLog.warning("the history begins anew", {{"error", history.error()}});
    history_ = std::move(*history);
}

Awaitable<Result<void>> Journal::set_mode(ModeRecord mode) {
    auto transaction =
        transaction_of(kModeKey, encode(mode), mode.actor,
                       fmt::format("anycast {}{}{}", to_string(mode.mode), mode.note.empty() ? "" : ": ", mode.note));
    auto committed = co_await store_.commit(std::move(transaction));
    if (!committed) co_return fail(std::move(committed.error()));
    mode_ = std::move(mode);
    co_return Result<void>{};
}

void Journal::record(HistoryEntry entry) {
    history_.push_back(std::move(entry));
    if (history_.size() > kHistoryLength) history_.pop_front();
    dirty_ = true;
    if (std::exchange(writing_, true)) return;
    tasks_.spawn(write_history());
}

Awaitable<void> Journal::write_history() {
    while (std::exchange(dirty_, false)) {
        auto transaction = transaction_of(kHistoryKey, encode(history_), kActor, "history");
        auto committed = co_await store_.commit(std::move(transaction));
        if (!committed) kLog.warning("the history could not be written", {{"error", committed.error()}});
    }
    writing_ = false;
}

Awaitable<void> Journal::stop() {
    co_await tasks_.join();
}

}  // namespace nett::anycast
