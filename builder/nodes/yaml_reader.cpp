#include "builder/nodes/yaml_reader.hpp"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

#include "agent/sdk/strings.hpp"

namespace nett::builder {

std::vector<Problem> Problems::sorted() const {
    std::vector<Problem> result = list_;
    std::stable_sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
    const auto same = [](const auto& a, const auto& b) { return a.line == b.line && a.message == b.message; };
    result.erase(std::unique(result.begin(), result.end(), same), result.end());
    return result;
}

std::vector<Error> Problems::errors(const std::string& file) const {
    std::vector<Error> result;
    for (auto& [line, message] : sorted()) {
        result.push_back({Code::kInvalidArgument, message, line == 0 ? file : fmt::format("{}:{}", file, line)});
    }
    return result;
}

int line_of(const YAML::Node& node) {
    return node.Mark().line + 1;
}

MapReader::MapReader(const YAML::Node& node, std::string what, std::span<const std::string_view> keys,
                     Problems& problems)
    : node_(node), what_(std::move(what)), line_(line_of(node)), problems_(problems) {
    if (!node_.IsMap()) {
        problems_.add(line_, "a {} is a mapping with {}", what_, fmt::join(keys, ", "));
        node_ = YAML::Node(YAML::NodeType::Map);
        return;
    }
    std::set<std::string> seen;
    for (const auto& member : node_) {
        const std::string key = member.first.IsScalar() ? member.first.Scalar() : std::string();
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
            problems_.add(line_of(member.first), "a {} has no \"{}\"; it has {}", what_, key, fmt::join(keys, ", "));
        } else if (!seen.insert(key).second) {
            problems_.add(line_of(member.first), "\"{}\" is there twice", key);
        }
    }
}

std::optional<YAML::Node> MapReader::node(std::string_view key) const {
    for (const auto& member : node_) {
        if (!member.first.IsScalar() || member.first.Scalar() != key) continue;
        if (member.second.IsNull()) return std::nullopt;
        return member.second;
    }
    return std::nullopt;
}

int MapReader::line(std::string_view key) const {
    const auto found = node(key);
    return found ? line_of(*found) : line_;
}

std::string MapReader::text(std::string_view key) {
    const auto found = node(key);
    if (!found) return {};
    if (found->IsScalar()) return found->Scalar();
    problems_.add(line_of(*found), "\"{}\" is one value", key);
    return {};
}

std::string MapReader::required(std::string_view key) {
    std::string value = text(key);
    if (value.empty() && !(node(key) && !node(key)->IsScalar())) {
        problems_.add(line_, "a {} needs \"{}\"", what_, key);
    }
    return value;
}

std::vector<std::string> MapReader::texts(std::string_view key) {
    const auto found = node(key);
    if (!found) return {};
    if (found->IsScalar()) return {found->Scalar()};
    std::vector<std::string> result;
    if (!found->IsSequence()) problems_.add(line_of(*found), "\"{}\" is a value or a list of values", key);
    if (!found->IsSequence()) return result;
    for (const auto& item : *found) {
        if (item.IsScalar()) result.push_back(item.Scalar());
        if (!item.IsScalar()) problems_.add(line_of(item), "\"{}\" is a list of values", key);
    }
    return result;
}

std::optional<std::int64_t> MapReader::number(std::string_view key, std::int64_t low, std::int64_t high) {
    const auto found = node(key);
    if (!found) return std::nullopt;
    const auto value = parse_integer(found->IsScalar() ? found->Scalar() : std::string(), low, high);
    if (value) return *value;
    problems_.add(line_of(*found), "\"{}\" is a whole number from {} to {}", key, low, high);
    return std::nullopt;
}

std::optional<bool> MapReader::flag(std::string_view key) {
    const auto found = node(key);
    if (!found) return std::nullopt;
    const std::string value = found->IsScalar() ? found->Scalar() : std::string();
    if (value == "true" || value == "false") return value == "true";
    problems_.add(line_of(*found), "\"{}\" is true or false", key);
    return std::nullopt;
}

std::string MapReader::choice(std::string_view key, std::span<const std::string_view> choices,
                              std::string_view fallback) {
    const auto found = node(key);
    if (!found) return std::string(fallback);
    const std::string value = found->IsScalar() ? found->Scalar() : std::string();
    if (std::find(choices.begin(), choices.end(), value) != choices.end()) return value;
    problems_.add(line_of(*found), "\"{}\" is one of {}", key, fmt::join(choices, ", "));
    return std::string(fallback);
}

}  // namespace nett::builder
