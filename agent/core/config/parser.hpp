// Configuration text to tree and back. Pure.
//
// A line is one command. Nodes end with `exit`, with a `!` in the first column, or with a command of an outer node, as
// in FRR; indentation is for the reader. Other lines that start with `!` or `#` are comments. `no …` removes what stood
// above. Files need full words; abbreviations are for the shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/core/config/grammar.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

struct ParsedConfig {
    ConfigNode root;
    std::vector<Diagnostic> diagnostics;  // in order of the lines; errors make the tree unfit for use

    bool ok() const;  // no errors; there may be warnings
};

// All errors at once; each has `file_name` and the line. Lines that are wrong are left out of the tree.
ParsedConfig parse_config(const Grammar& grammar, std::string_view text, std::string file_name);

// Canonical text: parse_config(print_config(root)) is root, and the text ends with a newline unless empty.
std::string print_config(const ConfigNode& root);

// True when both trees print the same.
bool same_config(const ConfigNode& a, const ConfigNode& b);

// Where a cursor stands in a tree: the nodes that were entered, outermost first. Empty: the top.
struct NodePosition {
    std::string node;  // the grammar's name of the node: "ra"
    std::string line;  // the canonical line of the entry that was entered: "plugin ra"
};
using NodePath = std::vector<NodePosition>;

// The tree's node at `path`; nullptr when it is not there (any more).
ConfigNode* node_at(ConfigNode& root, const NodePath& path);

// Applies one line, as typed into the shell at `path`: sets, removes (`no`), or enters a node, in which case, or when a
// command of an outer node was typed, `path` changes. kInvalidArgument on anything that is wrong; then nothing has
// changed.
Result<void> apply_line(const Grammar& grammar, ConfigNode& root, NodePath& path, std::string_view line);

}  // namespace nett
