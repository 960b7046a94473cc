#include "agent/core/config/parser.hpp"

#include <algorithm>
#include <deque>
#include <optional>

#include "agent/core/config/edit.hpp"
#include "agent/core/config/words.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kLongestLine = 4096;  // far beyond any command; keeps a wrong file from costing time

bool is_comment(std::string_view trimmed) {
    return trimmed.empty() || trimmed.front() == '!' || trimmed.front() == '#';
}

// "no interval" → "interval"; nothing when the line does not begin with `no`.
std::optional<std::string_view> behind_no(std::string_view line) {
    if (line != "no" && !line.starts_with("no ") && !line.starts_with("no\t")) return std::nullopt;
    return trim(line.substr(2));
}

// Reads a file line by line. Collects diagnostics instead of stopping.
class FileParser {
public:
    FileParser(const Grammar& grammar, std::string file_name) : grammar_(grammar), file_(std::move(file_name)) {}

    void line(std::string_view raw) {
        where_ = SourceLocation{file_, where_.line + 1};
        const auto text = trim(raw);
        const auto indent = raw.find_first_not_of(" \t");
        if (raw.starts_with('!') && text.size() == 1) leave_all();
        if (is_comment(text) || is_behind_unknown_node(text, indent)) return;
        if (auto checked = check_line(text); !checked) {
            error(checked.error().to_string());
        } else if (text == "exit") {
            leave();
        } else if (text == "end") {
            leave_all();
        } else if (const auto removal = behind_no(text)) {
            remove(*removal);
        } else {
            set(text, indent);
        }
    }

    ParsedConfig take() && { return std::move(parsed_); }

private:
    struct Open {
        std::string node;
        ConfigNode* children;  // stays put: only the innermost node changes while it is open
    };

    static Result<void> check_line(std::string_view text) {
        if (text.size() > kLongestLine)
            return fail(Code::kInvalidArgument, "the line is longer than {} bytes", kLongestLine);
        return check_plain_text(text);
    }

    // What is indented below a line that opened no node is not worth an error each.
    bool is_behind_unknown_node(std::string_view text, std::size_t indent) {
        if (!unknown_indent_) return false;
        if (indent > *unknown_indent_) {
            skipped_ = true;
            return true;
        }
        const bool closes = skipped_ && text == "exit" && indent == *unknown_indent_;
        unknown_indent_.reset();
        skipped_ = false;
        return closes;
    }

    void set(std::string_view text, std::size_t indent) {
        auto outcome = place_line(grammar_, nodes(), text, MatchMode::kFullWords);
        if (!outcome.placement) {
            error(outcome.misplacement.message);
            const auto* likely = outcome.misplacement.likely;
            if (likely != nullptr && !likely->spec.enters.empty()) {
                open_.resize(outcome.misplacement.depth);
                open_.push_back({likely->spec.enters, &scratch_.emplace_back()});
            } else {
                unknown_indent_ = indent;
            }
            return;
        }
        auto& placement = *outcome.placement;
        open_.resize(placement.depth);
        auto& node = innermost();
        report_duplicate(node, placement);
        auto& entry = set_entry(node, *placement.command, placement.match, where_);
        if (entry.opens_node()) open_.push_back({placement.command->spec.enters, &entry.children()});
    }

    void report_duplicate(const ConfigNode& node, const Placement& placement) {
        const auto* old = find_slot(node, *placement.command, placement.match.args);
        if (old == nullptr) return;
        if (old->line() != placement.match.line) {
            error(fmt::format("\"{}\" is set as \"{}\" in line {} already; keep one of them", placement.match.line,
                              old->line(), old->where().line));
        } else if (!old->opens_node()) {
            warning(fmt::format("\"{}\" stands in line {} already", old->line(), old->where().line));
        }
    }

    void remove(std::string_view text) {
        auto outcome = place_removal(grammar_, nodes(), text, MatchMode::kFullWords);
        if (!outcome.placement) return error(outcome.misplacement.message);
        open_.resize(outcome.placement->depth);
        if (auto removed = remove_entry(innermost(), *outcome.placement); !removed) {
            removed.error().code == Code::kNotFound ? warning(removed.error().to_string())
                                                    : error(removed.error().to_string());
        }
    }

    void leave() {
        if (open_.empty()) return error("\"exit\" without an open node");
        open_.pop_back();
    }

    void leave_all() {
        open_.clear();
        unknown_indent_.reset();
        skipped_ = false;
    }

    ConfigNode& innermost() { return open_.empty() ? parsed_.root : *open_.back().children; }

    std::vector<std::string> nodes() const {
        std::vector<std::string> names;
        for (const auto& open : open_) names.push_back(open.node);
        return names;
    }

    void error(std::string message) {
        parsed_.diagnostics.push_back({Diagnostic::Severity::kError, where_, std::move(message)});
    }
    void warning(std::string message) {
        parsed_.diagnostics.push_back({Diagnostic::Severity::kWarning, where_, std::move(message)});
    }

    const Grammar& grammar_;
    std::string file_;
    SourceLocation where_;
    ParsedConfig parsed_;
    std::vector<Open> open_;
    std::deque<ConfigNode> scratch_;             // children of openers that are wrong, so that they are checked too
    std::optional<std::size_t> unknown_indent_;  // of the last line that is wrong
    bool skipped_ = false;
};

void print_node(std::string& out, const ConfigNode& node, std::size_t depth) {
    const std::string indent(depth, ' ');
    for (const auto& entry : node.entries()) {
        out += indent + entry.line() + "\n";
        if (!entry.opens_node()) continue;
        print_node(out, entry.children(), depth + 1);
        out += indent + "exit\n";
        if (depth == 0) out += "!\n";
    }
}

ConfigNode* follow(ConfigNode& root, const NodePath& path, std::size_t depth) {
    ConfigNode* node = &root;
    for (std::size_t i = 0; i < depth; ++i) {
        auto& entries = node->entries();
        const auto found =
            std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.line() == path[i].line; });
        if (found == entries.end()) return nullptr;
        node = &found->children();
    }
    return node;
}

}  // namespace

bool ParsedConfig::ok() const {
    return std::none_of(diagnostics.begin(), diagnostics.end(),
                        [](const auto& d) { return d.severity == Diagnostic::Severity::kError; });
}

ParsedConfig parse_config(const Grammar& grammar, std::string_view text, std::string file_name) {
    FileParser parser(grammar, std::move(file_name));
    if (text.ends_with('\n')) text.remove_suffix(1);
    for (auto line : split(text, '\n')) {
        if (line.ends_with('\r')) line.remove_suffix(1);
        parser.line(line);
    }
    return std::move(parser).take();
}

std::string print_config(const ConfigNode& root) {
    std::string out;
    print_node(out, root, 0);
    return out;
}

bool same_config(const ConfigNode& a, const ConfigNode& b) {
    return std::equal(a.entries().begin(), a.entries().end(), b.entries().begin(), b.entries().end(),
                      [](const auto& x, const auto& y) { return x.same_as(y); });
}

ConfigNode* node_at(ConfigNode& root, const NodePath& path) {
    return follow(root, path, path.size());
}

Result<void> apply_line(const Grammar& grammar, ConfigNode& root, NodePath& path, std::string_view line) {
    const auto text = trim(line);
    if (auto checked = check_plain_text(text); !checked) return fail(std::move(checked.error()));
    std::vector<std::string> nodes;
    for (const auto& position : path) nodes.push_back(position.node);
    const auto removal = behind_no(text);
    auto outcome = removal ? place_removal(grammar, nodes, *removal, MatchMode::kAbbreviations)
                           : place_line(grammar, nodes, text, MatchMode::kAbbreviations);
    if (!outcome.placement) return fail(Code::kInvalidArgument, "{}", outcome.misplacement.message);
    auto* node = follow(root, path, outcome.placement->depth);
    if (node == nullptr) {
        return fail(Code::kFailedPrecondition, "\"{}\" is not configured any more; \"exit\" leaves it",
                    path.back().line);
    }
    if (removal) {
        NETT_TRY(remove_entry(*node, *outcome.placement));
        path.resize(outcome.placement->depth);
        return {};
    }
    const auto& entry = set_entry(*node, *outcome.placement->command, outcome.placement->match, {});
    path.resize(outcome.placement->depth);
    if (entry.opens_node()) path.push_back({outcome.placement->command->spec.enters, entry.line()});
    return {};
}

}  // namespace nett
