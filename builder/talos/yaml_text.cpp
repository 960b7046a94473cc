#include "builder/talos/yaml_text.hpp"

#include <algorithm>

#include "agent/sdk/strings.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kStep = 4;  // as Talos indents

bool is_blank_or_comment(std::string_view line) {
    const std::string_view rest = trim(line);
    return rest.empty() || rest.front() == '#';
}

std::size_t indent_of(std::string_view line) {
    return std::min(line.find_first_not_of(' '), line.size());
}

bool is_marker(std::string_view line) {
    return line.starts_with("---") && (line.size() == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r');
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

std::string double_quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < ' ') {
                    out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
                } else {
                    out += c;
                }
        }
    }
    return out + "\"";
}

// A literal keeps text of several lines readable; what it cannot hold is quoted.
bool fits_literal(std::string_view text) {
    if (text.find('\n') == std::string_view::npos || text.front() == ' ' || text.front() == '\n') return false;
    if (text.ends_with("\n\n")) return false;
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) >= ' ' || c == '\n'; });
}

// After "key:" or "-", with the line's end.
std::string render_scalar(const YAML::Node& node, std::size_t indent) {
    if (node.IsNull()) return " null\n";
    const std::string& value = node.Scalar();
    if (!value.empty() && fits_literal(value)) {
        std::string out = value.ends_with('\n') ? " |\n" : " |-\n";
        for (const std::string& line : lines_of(value))
            out += line.empty() ? "\n" : std::string(indent, ' ') + line + "\n";
        return out;
    }
    const bool plain = node.Tag() == "?" && !value.empty() && value.find('\n') == std::string::npos;
    return " " + (plain ? value : double_quoted(value)) + "\n";
}

std::string render_key(const YAML::Node& key) {
    return key.Tag() == "?" ? key.Scalar() : double_quoted(key.Scalar());
}

std::string render_after(const YAML::Node& value, std::size_t indent);

std::string render_map(const YAML::Node& map, std::size_t indent) {
    std::string out;
    for (const auto& member : map)
        out += std::string(indent, ' ') + render_key(member.first) + ":" + render_after(member.second, indent);
    return out;
}

// An item begins behind its dash: a mapping's first key stands on the dash's line.
std::string render_item(const YAML::Node& item, std::size_t indent) {
    const std::string dash = std::string(indent, ' ') + "-";
    if (!item.IsMap() || item.size() == 0) return dash + render_after(item, indent);
    return dash + " " + render_map(item, indent + 2).substr(indent + 2);
}

std::string render_list(const YAML::Node& list, std::size_t indent) {
    std::string out;
    for (const auto& item : list) out += render_item(item, indent);
    return out;
}

std::string render_after(const YAML::Node& value, std::size_t indent) {
    if (value.IsMap()) return value.size() == 0 ? " {}\n" : "\n" + render_map(value, indent + kStep);
    if (value.IsSequence()) return value.size() == 0 ? " []\n" : "\n" + render_list(value, indent + kStep);
    return render_scalar(value, indent + kStep);
}

// Where the scalar that begins at `from` ends on its line; npos when it goes on on the next.
std::size_t scalar_end(std::string_view line, std::size_t from) {
    const char first = line[from];
    if (first == '|' || first == '>' || first == '&' || first == '!') return std::string_view::npos;
    if (first == '\'') {
        for (std::size_t i = from + 1; i < line.size(); ++i) {
            if (line[i] != '\'') continue;
            if (i + 1 >= line.size() || line[i + 1] != '\'') return i + 1;
            ++i;
        }
        return std::string_view::npos;
    }
    if (first == '"') {
        for (std::size_t i = from + 1; i < line.size(); ++i) {
            if (line[i] == '"') return i + 1;
            if (line[i] == '\\') ++i;
        }
        return std::string_view::npos;
    }
    const std::size_t comment = line.find(" #", from);
    const std::string_view value = line.substr(from, comment == std::string_view::npos ? comment : comment - from);
    return from + trim(value).size();
}

bool is_flow(const YAML::Node& node) {
    return (node.IsMap() || node.IsSequence()) && node.Style() == YAML::EmitterStyle::Flow;
}

bool is_empty(const YAML::Node& node) {
    return node.IsNull() || ((node.IsMap() || node.IsSequence()) && node.size() == 0);
}

}  // namespace

// Lines [first, last) of a place; `column` is that of its key or its dash.
struct YamlText::Span {
    std::size_t first = 0;
    std::size_t last = 0;
    std::size_t column = 0;
    YAML::Node key;  // of a mapping's member
    YAML::Node value;

    // Assigning one YAML::Node to another would change the document that it is part of.
    void become(const Span& other) {
        first = other.first;
        last = other.last;
        column = other.column;
        key.reset(other.key);
        value.reset(other.value);
    }
};

std::string to_string(const YamlPath& path) {
    std::string out;
    for (const PathStep& step : path) {
        if (const auto* key = std::get_if<std::string>(&step)) out += (out.empty() ? "" : ".") + *key;
        if (const auto* place = std::get_if<std::size_t>(&step)) out += fmt::format("[{}]", *place);
    }
    return out;
}

std::vector<std::string> split_documents(std::string_view text) {
    std::vector<std::string> documents;
    std::string current;
    bool has_content = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        const std::string_view line = text.substr(0, end);
        const std::string_view bare = line.ends_with('\n') ? line.substr(0, line.size() - 1) : line;
        // Comments before the first marker belong to the document behind it.
        if (is_marker(bare) && (has_content || !documents.empty())) {
            documents.push_back(std::move(current));
            current.clear();
        }
        has_content |= !is_blank_or_comment(bare);
        current += line;
        text.remove_prefix(end);
    }
    if (!current.empty()) documents.push_back(std::move(current));
    return documents;
}

std::string render_block(const YAML::Node& node, std::size_t indent) {
    if (node.IsMap() && node.size() > 0) return render_map(node, indent);
    if (node.IsSequence() && node.size() > 0) return render_list(node, indent);
    return std::string(indent, ' ') + render_after(node, indent).substr(1);
}

Result<YamlText> YamlText::parse(std::string text) {
    YamlText made;
    made.text_ = std::move(text);
    NETT_TRY(made.reload());
    return made;
}

Result<void> YamlText::reload() {
    lines_ = lines_of(text_);
    try {
        root_.reset(YAML::Load(text_));
    } catch (const YAML::Exception& error) {
        return fail(Code::kInvalidArgument, "line {}: {}", error.mark.line + 1, error.msg);
    }
    return {};
}

YAML::Node YamlText::find(const YamlPath& path) const {
    YAML::Node node;
    node.reset(root_);
    for (const PathStep& step : path) {
        YAML::Node next(YAML::NodeType::Undefined);
        if (const auto* key = std::get_if<std::string>(&step); key != nullptr && node.IsMap()) {
            for (const auto& member : node) {
                if (member.first.IsScalar() && member.first.Scalar() == *key) next.reset(member.second);
            }
        }
        if (const auto* place = std::get_if<std::size_t>(&step); place && node.IsSequence() && *place < node.size())
            next.reset(node[*place]);
        if (!next.IsDefined()) return YAML::Node(YAML::NodeType::Undefined);
        node.reset(next);
    }
    return node;
}

Result<YamlText::Span> YamlText::locate(const YamlPath& path) const {
    Span span;
    span.last = lines_.size();
    span.value.reset(root_);
    for (std::size_t depth = 0; depth < path.size(); ++depth) {
        Span next;
        bool found = false;
        std::size_t limit = span.last;
        const std::size_t column = static_cast<std::size_t>(std::max(span.value.Mark().column, 0));
        // A member ends where the next begins; comments in between that are not indented deeper are the next one's.
        const auto visit = [&](const YAML::Node& at, bool wanted, const YAML::Node& key, const YAML::Node& value) {
            std::size_t line = static_cast<std::size_t>(std::max(at.Mark().line, 0));
            if (!key.IsDefined() || key.IsNull()) {
                while (line > span.first && !(indent_of(lines_[line]) <= column && lines_[line][column] == '-')) --line;
            }
            if (found && limit == span.last) limit = line;
            if (!wanted || found) return;
            found = true;
            next.first = line;
            next.column = key.IsDefined() && !key.IsNull() ? static_cast<std::size_t>(key.Mark().column) : column;
            next.key.reset(key);
            next.value.reset(value);
        };
        if (span.value.IsMap()) {
            const auto* key = std::get_if<std::string>(&path[depth]);
            for (const auto& member : span.value)
                visit(member.first, key != nullptr && member.first.Scalar() == *key, member.first, member.second);
        } else if (span.value.IsSequence()) {
            const auto* place = std::get_if<std::size_t>(&path[depth]);
            for (std::size_t i = 0; i < span.value.size(); ++i)
                visit(span.value[i], place != nullptr && *place == i, YAML::Node(), span.value[i]);
        }
        if (!found) return fail(Code::kNotFound, "there is no {}", to_string(path));
        next.last = std::max(limit, next.first + 1);
        while (next.last > next.first + 1 && is_blank_or_comment(lines_[next.last - 1]) &&
               (trim(lines_[next.last - 1]).empty() || indent_of(lines_[next.last - 1]) <= next.column)) {
            --next.last;
        }
        span.become(next);
    }
    return span;
}

Result<void> YamlText::replace_lines(std::size_t first, std::size_t last, const std::string& lines) {
    std::string text;
    for (std::size_t i = 0; i < first; ++i) text += lines_[i] + "\n";
    text += lines;
    for (std::size_t i = last; i < lines_.size(); ++i) text += lines_[i] + "\n";
    text_ = std::move(text);
    return reload();
}

// Flow collections on the way are written as blocks first: text can only be put between lines.
Result<void> YamlText::to_block(const YamlPath& path) {
    for (std::size_t depth = 0; depth <= path.size(); ++depth) {
        const YamlPath part(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(depth));
        const YAML::Node node = find(part);
        if (!node.IsDefined() || !is_flow(node) || node.size() == 0) continue;
        NETT_TRY(set(part, node));
    }
    return {};
}

Result<void> YamlText::set(const YamlPath& path, const YAML::Node& given) {
    const YAML::Node value = YAML::Clone(given);
    if (path.empty()) {
        const bool marked = !lines_.empty() && is_marker(lines_.front());
        text_ = (marked ? "---\n" : "") + render_block(value, 0);
        return reload();
    }
    NETT_TRY(to_block(YamlPath(path.begin(), path.end() - 1)));
    const auto span = locate(path);
    if (!span) return fail(span.error());
    if (!span->key.IsDefined() || span->key.IsNull())
        return replace_lines(span->first, span->last, render_item(value, span->column));
    const std::string& line = lines_[span->first];
    const std::size_t key_end = line.find(':', span->key.Mark().column + render_key(span->key).size());
    if (key_end == std::string::npos)
        return fail(Code::kUnimplemented, "{} is written in a way that cannot be changed; write it as a block",
                    to_string(path));
    const std::size_t start = static_cast<std::size_t>(span->value.Mark().column);
    const bool same_line = span->value.IsScalar() && static_cast<std::size_t>(span->value.Mark().line) == span->first;
    const std::size_t end = same_line && start < line.size() ? scalar_end(line, start) : std::string::npos;
    std::string after = render_after(value, span->column);
    if (end != std::string::npos && value.IsScalar() && after.find('\n') + 1 == after.size())
        return replace_lines(span->first, span->first + 1,
                             line.substr(0, start) + after.substr(1, after.size() - 2) + line.substr(end) + "\n");
    // A comment behind the key stays when the value begins on the next line.
    const std::size_t comment = span->value.IsScalar() && end == std::string::npos
                                    ? std::string::npos
                                    : line.find(" #", std::max(end == std::string::npos ? key_end : end, key_end));
    if (comment != std::string::npos && after.front() == '\n') after.insert(0, line.substr(comment));
    return replace_lines(span->first, span->last, line.substr(0, key_end + 1) + after);
}

Result<void> YamlText::insert(const YamlPath& mapping, const std::string& key, const YAML::Node& value) {
    NETT_TRY(to_block(mapping));
    const YAML::Node node = find(mapping);
    YAML::Node name(key);
    if (key.find_first_of(":#{}[],&*!|>'\"%@` ") == std::string::npos) name.SetTag("?");
    YAML::Node made(YAML::NodeType::Map);
    made.force_insert(name, YAML::Clone(value));
    if (is_empty(node)) return set(mapping, made);
    std::string last;  // yaml-cpp's iterators only go forward
    for (const auto& member : node) last = member.first.Scalar();
    YamlPath path = mapping;
    path.emplace_back(last);
    const auto span = locate(path);
    if (!span) return fail(span.error());
    return replace_lines(span->last, span->last, render_map(made, span->column));
}

Result<void> YamlText::append(const YamlPath& list, const YAML::Node& value) {
    NETT_TRY(to_block(list));
    const YAML::Node node = find(list);
    if (is_empty(node)) {
        YAML::Node made(YAML::NodeType::Sequence);
        made.push_back(YAML::Clone(value));
        return set(list, made);
    }
    YamlPath path = list;
    path.emplace_back(node.size() - 1);
    const auto span = locate(path);
    if (!span) return fail(span.error());
    return replace_lines(span->last, span->last, render_item(YAML::Clone(value), span->column));
}

Result<void> YamlText::erase(const YamlPath& path) {
    const YamlPath parent(path.begin(), path.end() - 1);
    NETT_TRY(to_block(parent));
    const auto span = locate(path);
    if (!span) return fail(span.error());
    const bool behind_dash = indent_of(lines_[span->first]) < span->column;
    const YAML::Node around = find(parent);
    if (!behind_dash && around.size() > 1) return replace_lines(span->first, span->last, "");
    // What would be left is written anew: an empty collection, or an item whose first key goes.
    YAML::Node rest(around.IsMap() ? YAML::NodeType::Map : YAML::NodeType::Sequence);
    for (std::size_t i = 0; around.IsSequence() && i < around.size(); ++i) {
        if (i != std::get<std::size_t>(path.back())) rest.push_back(YAML::Clone(around[i]));
    }
    if (around.IsMap()) {
        for (const auto& member : around) {
            if (member.first.Scalar() != std::get<std::string>(path.back()))
                rest.force_insert(YAML::Clone(member.first), YAML::Clone(member.second));
        }
    }
    return set(parent, rest);
}

}  // namespace nett::builder
