#include "agent/sdk/config.hpp"

#include <algorithm>

#include "agent/sdk/strings.hpp"

namespace nett {

std::string SourceLocation::to_string() const {
    return line == 0 ? file : fmt::format("{}:{}", file, line);
}

const ConfigEntry* ConfigNode::find(std::string_view id) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.id() == id; });
    return found == entries_.end() ? nullptr : &*found;
}

std::vector<const ConfigEntry*> ConfigNode::all(std::string_view id) const {
    std::vector<const ConfigEntry*> found;
    for (const auto& entry : entries_) {
        if (entry.id() == id) found.push_back(&entry);
    }
    return found;
}

std::int64_t ConfigNode::integer(std::string_view id, std::string_view arg, std::int64_t fallback) const {
    const auto* entry = find(id);
    return entry == nullptr ? fallback : entry->integer(arg);
}

std::string ConfigNode::text(std::string_view id, std::string_view arg, std::string_view fallback) const {
    const auto* entry = find(id);
    return entry == nullptr ? std::string(fallback) : entry->arg(arg);
}

ConfigEntry::ConfigEntry(std::string id, std::string line, std::map<std::string, std::string, std::less<>> args,
                         SourceLocation where, std::size_t rank)
    : id_(std::move(id)), line_(std::move(line)), args_(std::move(args)), where_(std::move(where)), rank_(rank) {}

const std::string& ConfigEntry::arg(std::string_view name) const {
    return args_.find(name)->second;
}

std::int64_t ConfigEntry::integer(std::string_view name) const {
    return parse_integer(arg(name), 0, INT64_MAX).value();
}

Prefix6 ConfigEntry::prefix(std::string_view name) const {
    return Prefix6::parse(arg(name)).value();
}

Address6 ConfigEntry::address(std::string_view name) const {
    return parse_address6(arg(name)).value();
}

boost::asio::ip::tcp::endpoint ConfigEntry::endpoint(std::string_view name) const {
    return parse_endpoint6(arg(name)).value();
}

bool ConfigEntry::same_as(const ConfigEntry& other) const {
    const auto& mine = children_.entries();
    const auto& theirs = other.children_.entries();
    return line_ == other.line_ && std::equal(mine.begin(), mine.end(), theirs.begin(), theirs.end(),
                                              [](const auto& a, const auto& b) { return a.same_as(b); });
}

std::string Diagnostic::to_string() const {
    const std::string place = where.to_string();
    return fmt::format("{}{}: {}", place.empty() ? "" : place + ": ",
                       severity == Severity::kError ? "error" : "warning", message);
}

namespace {

// A line that was typed is its own place.
SourceLocation place_of(const ConfigEntry& entry) {
    if (!entry.where().file.empty()) return entry.where();
    return {fmt::format("\"{}\"", entry.line()), 0};
}

}  // namespace

Diagnostic error_at(const ConfigEntry& entry, std::string message) {
    return Diagnostic{Diagnostic::Severity::kError, place_of(entry), std::move(message)};
}

Diagnostic warning_at(const ConfigEntry& entry, std::string message) {
    return Diagnostic{Diagnostic::Severity::kWarning, place_of(entry), std::move(message)};
}

}  // namespace nett
