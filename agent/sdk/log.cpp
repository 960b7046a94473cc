#include "agent/sdk/log.hpp"

#include <atomic>
#include <deque>
#include <mutex>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "agent/sdk/log_history.hpp"

namespace nett {

namespace {

using ComponentLevels = std::map<std::string, LogLevel, std::less<>>;

std::atomic<LogFormat> g_format{LogFormat::kText};
std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<bool> g_has_component_levels{false};  // spares a line the lock below

// Guarded by its mutex; a function's static, so that a logger may write before main().
struct LevelTable {
    std::mutex mutex;
    ComponentLevels levels;
};
LevelTable& level_table() {
    static LevelTable table;
    return table;
}

struct History {
    std::mutex mutex;
    std::deque<LogLine> lines;  // newest last
};
History& history() {
    static History kept;
    return kept;
}

void remember(LogLine line) {
    if (line.text.size() > kLongestKeptLine) line.text = line.text.substr(0, kLongestKeptLine) + " [cut]";
    auto& kept = history();
    const std::lock_guard lock(kept.mutex);
    kept.lines.push_back(std::move(line));
    if (kept.lines.size() > kLogHistory) kept.lines.pop_front();
}

LogLevel level_of(const std::string& component) {
    const LogLevel level = g_level.load(std::memory_order_relaxed);
    if (!g_has_component_levels.load(std::memory_order_relaxed)) return level;
    auto& table = level_table();
    const std::lock_guard lock(table.mutex);
    const auto own = table.levels.find(component);
    return own == table.levels.end() ? level : own->second;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return spdlog::level::debug;
        case LogLevel::kInfo:
            return spdlog::level::info;
        case LogLevel::kWarning:
            return spdlog::level::warn;
        case LogLevel::kError:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

std::string_view level_name(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return "debug";
        case LogLevel::kInfo:
            return "info";
        case LogLevel::kWarning:
            return "warning";
        case LogLevel::kError:
            return "error";
    }
    return "error";
}

// The sink. The time is UTC with milliseconds in text; a JSON line carries its own.
spdlog::logger& sink() {
    static const auto logger = [] {
        auto made = std::make_shared<spdlog::logger>("nett", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
        made->flush_on(spdlog::level::debug);
        made->set_level(spdlog::level::debug);  // write() decides
        return made;
    }();
    return *logger;
}

bool needs_quotes(std::string_view value) {
    return value.empty() || value.find_first_of(" \t\r\n\"=\\") != std::string_view::npos;
}

}  // namespace

std::string format_log_line(LogFormat format, LogLevel level, std::string_view component, std::string_view message,
                            std::initializer_list<LogField> fields) {
    if (format == LogFormat::kJson) {
        boost::json::object object{{"level", level_name(level)}, {"component", component}, {"message", message}};
        for (const auto& field : fields) object[field.key] = field.value;
        return boost::json::serialize(object);
    }
    std::string line = fmt::format("{} {}: ", level_name(level), component);
    // A message may carry a peer's words: keep one event on one line.
    for (const char c : message) line += (c == '\n' || c == '\r') ? ' ' : c;
    for (const auto& field : fields) {
        line += fmt::format(
            " {}={}", field.key,
            needs_quotes(field.value) ? boost::json::serialize(boost::json::value(field.value)) : field.value);
    }
    return line;
}

void Logger::write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const {
    if (level < level_of(component_)) return;
    const LogFormat format = g_format.load(std::memory_order_relaxed);
    remember({std::chrono::system_clock::now(), level, component_,
              format_log_line(LogFormat::kText, level, component_, message, fields)});
    sink().log(spdlog_level(level), "{}", format_log_line(format, level, component_, message, fields));
}

std::vector<LogLine> recent_log_lines() {
    auto& kept = history();
    const std::lock_guard lock(kept.mutex);
    return {kept.lines.begin(), kept.lines.end()};
}

void set_log_level(LogLevel level) {
    g_level.store(level, std::memory_order_relaxed);
}

void set_component_log_levels(ComponentLevels levels) {
    auto& table = level_table();
    const std::lock_guard lock(table.mutex);
    table.levels = std::move(levels);
    g_has_component_levels.store(!table.levels.empty(), std::memory_order_relaxed);
}

void set_log_format(LogFormat format) {
    g_format.store(format, std::memory_order_relaxed);
    if (format == LogFormat::kJson) {
        // The line must be one JSON object; journald and every collector add the time of arrival.
        sink().set_pattern("%v", spdlog::pattern_time_type::utc);
    } else {
        sink().set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
    }
}

}  // namespace nett
