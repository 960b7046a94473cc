// Structured logs: a message and key=value fields, to stderr (text or JSON) where journald picks them up.
//
// Level by consequence: error = an operator must act; warning = something failed and is being repaired by itself;
// info = a state changed; debug = detail. Secrets never go into a field. Thread-safe.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "agent/sdk/result.hpp"

namespace nett {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// One key=value of a log line.
struct LogField {
    std::string_view key;
    std::string value;

    LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
    LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
    LogField(std::string_view k, const char* v) : key(k), value(v) {}
    LogField(std::string_view k, const Error& e) : key(k), value(e.to_string()) {}
    template <typename T>
    requires std::is_arithmetic_v<T> LogField(std::string_view k, T v) : key(k), value(fmt::format("{}", v)) {}
};

// A named source of log lines ("ra", "metadata", "agent"): cheap to copy.
class Logger {
public:
    explicit Logger(std::string component) : component_(std::move(component)) {}

    void debug(std::string_view message, std::initializer_list<LogField> fields = {}) const {
        write(LogLevel::kDebug, message, fields);
    }
    void info(std::string_view message, std::initializer_list<LogField> fields = {}) const {
        write(LogLevel::kInfo, message, fields);
    }
    void warning(std::string_view message, std::initializer_list<LogField> fields = {}) const {
        write(LogLevel::kWarning, message, fields);
    }
    void error(std::string_view message, std::initializer_list<LogField> fields = {}) const {
        write(LogLevel::kError, message, fields);
    }

private:
    void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const;

    std::string component_;
};

// Process-wide settings of the sink; set by the agent from its configuration, and by tests.
void set_log_level(LogLevel level);
// Levels of components that differ from the rest; replaces what was set before.
void set_component_log_levels(std::map<std::string, LogLevel, std::less<>> levels);
void set_log_format(LogFormat format);

// The text of one line without its time and newline: `info agent: message key=value`. Pure; for tests and the sink.
std::string format_log_line(LogFormat format, LogLevel level, std::string_view component, std::string_view message,
                            std::initializer_list<LogField> fields);

}  // namespace nett
