// YAML as text that is changed in place: what is not touched stays byte for byte, comments and order included.
// (yaml-cpp drops comments, so a file is never written from its nodes; they only say where in the text a value stands.)
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "agent/sdk/result.hpp"

namespace nett::builder {

// A key of a mapping, or a place in a list.
using PathStep = std::variant<std::string, std::size_t>;
using YamlPath = std::vector<PathStep>;
// "machine.network.interfaces[0]".
std::string to_string(const YamlPath& path);

// A stream of documents, each with the "---" line before it, if it has one: joined they are the text again.
std::vector<std::string> split_documents(std::string_view text);

// A node as block YAML whose lines are indented by `indent`; ends with a newline. Quoted scalars stay quoted.
std::string render_block(const YAML::Node& node, std::size_t indent);

// One document. Paths must exist unless said otherwise; YAML that cannot be read is kInvalidArgument with its line.
class YamlText {
public:
    static Result<YamlText> parse(std::string text);

    const std::string& text() const { return text_; }
    const YAML::Node& root() const { return root_; }
    // Undefined when there is no such place.
    YAML::Node find(const YamlPath& path) const;

    // Puts a value in place of another.
    Result<void> set(const YamlPath& path, const YAML::Node& value);
    // Adds a key that the mapping does not have, at its end. A mapping that is null becomes one.
    Result<void> insert(const YamlPath& mapping, const std::string& key, const YAML::Node& value);
    // Adds an item at the end of a list, or makes a list out of null.
    Result<void> append(const YamlPath& list, const YAML::Node& value);
    // Removes a key with its value, or an item, and the comments inside it.
    Result<void> erase(const YamlPath& path);

private:
    struct Span;
    Result<Span> locate(const YamlPath& path) const;
    Result<void> to_block(const YamlPath& path);
    Result<void> replace_lines(std::size_t first, std::size_t last, const std::string& lines);
    Result<void> reload();

    std::string text_;
    std::vector<std::string> lines_;
    YAML::Node root_;
};

}  // namespace nett::builder
