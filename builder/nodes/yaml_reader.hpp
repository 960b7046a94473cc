// Reads one mapping of a YAML file strictly: unknown and doubled keys, and values of the wrong shape, are problems with
// their line; reading goes on, so that all of them are found at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "builder/nodes/problems.hpp"

namespace nett::builder {

// The line of a node, from 1.
int line_of(const YAML::Node& node);

class MapReader {
public:
    // `what` is for messages: "node". `keys` are the only ones that may stand there. Nothing is copied but the node.
    MapReader(const YAML::Node& node, std::string what, std::span<const std::string_view> keys, Problems& problems);

    int line() const { return line_; }
    // Not there, and null, is nothing.
    std::optional<YAML::Node> node(std::string_view key) const;
    int line(std::string_view key) const;  // of its value; of the mapping when it is not there
    bool has(std::string_view key) const { return node(key).has_value(); }

    std::string text(std::string_view key);                // "" when it is not there
    std::string required(std::string_view key);            // a problem when it is not there
    std::vector<std::string> texts(std::string_view key);  // one value, or a list of them
    std::optional<std::int64_t> number(std::string_view key, std::int64_t low, std::int64_t high);
    std::optional<bool> flag(std::string_view key);
    // One of `choices`; `fallback` when it is not there.
    std::string choice(std::string_view key, std::span<const std::string_view> choices, std::string_view fallback);

    Problems& problems() { return problems_; }

private:
    YAML::Node node_;
    std::string what_;
    int line_;
    Problems& problems_;
};

}  // namespace nett::builder
