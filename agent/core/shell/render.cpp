#include "agent/core/shell/render.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace json = boost::json;

// Columns on the terminal: UTF-8 continuation bytes take none.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

bool is_container(const json::value& value) {
    return value.is_object() || value.is_array();
}

bool is_table(const json::value& value) {
    return value.is_array() && !value.get_array().empty() &&
           std::all_of(value.get_array().begin(), value.get_array().end(), [](const auto& v) { return v.is_object(); });
}

// A value in one cell or behind "key: ".
std::string inline_text(const json::value& value) {
    if (value.is_null()) return "-";
    if (value.is_bool()) return value.get_bool() ? "yes" : "no";
    if (value.is_string()) return printable({value.get_string().data(), value.get_string().size()});
    if (value.is_double()) return fmt::format("{}", value.get_double());
    std::string out;
    if (value.is_array()) {
        for (const auto& item : value.get_array()) out += (out.empty() ? "" : ", ") + inline_text(item);
    } else if (value.is_object()) {
        for (const auto& member : value.get_object()) {
            out += fmt::format("{}{}={}", out.empty() ? "" : " ", std::string_view(member.key()),
                               inline_text(member.value()));
        }
    } else {
        return json::serialize(value);
    }
    return out.empty() ? "-" : out;
}

// Every key of the objects, in the order of first appearance.
std::vector<Column> columns_of(const json::array& rows) {
    std::vector<Column> columns;
    for (const auto& row : rows) {
        for (const auto& member : row.get_object()) {
            const std::string key(member.key());
            const bool known = std::any_of(columns.begin(), columns.end(), [&](const auto& c) { return c.key == key; });
            if (!known) columns.push_back({key, key});
        }
    }
    return columns;
}

std::string render_table(const json::array& rows, const std::vector<Column>& columns, const std::string& indent) {
    std::vector<std::vector<std::string>> cells(1);
    for (const auto& column : columns) cells.front().push_back(column.title);
    for (const auto& row : rows) {
        auto& line = cells.emplace_back();
        const auto* object = row.if_object();
        for (const auto& column : columns) {
            const auto* value = object == nullptr ? nullptr : object->if_contains(column.key);
            line.push_back(value == nullptr ? "-" : one_line(inline_text(*value)));
            if (line.back().empty()) line.back() = "-";
        }
    }
    std::vector<std::size_t> widths(columns.size());
    for (const auto& line : cells) {
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
    }
    std::string out;
    for (const auto& line : cells) {
        out += indent;
        for (std::size_t i = 0; i < line.size(); ++i) {
            out += line[i];
            if (i + 1 < line.size()) out += std::string(widths[i] - width(line[i]) + 2, ' ');
        }
        out += '\n';
    }
    return out;
}

std::string render_value(const json::value& value, const std::string& indent);

std::string render_member(std::string_view key, std::size_t pad, const json::value& value, const std::string& indent) {
    const bool nested = (value.is_object() && !value.get_object().empty()) || is_table(value);
    if (nested) return fmt::format("{}{}:\n{}", indent, key, render_value(value, indent + "  "));
    std::string text = inline_text(value);
    if (text.empty()) text = "-";
    std::string out;
    for (const auto line : split(trim(text), '\n')) {
        out += out.empty() ? fmt::format("{}{}:{}{}\n", indent, key, std::string(pad + 1 - width(key), ' '), line)
                           : fmt::format("{}  {}\n", indent, line);
    }
    return out;
}

std::string render_value(const json::value& value, const std::string& indent) {
    if (is_table(value)) return render_table(value.get_array(), columns_of(value.get_array()), indent);
    std::string out;
    if (const auto* array = value.if_array()) {
        for (const auto& item : *array) out += indent + one_line(inline_text(item)) + "\n";
        return out;
    }
    if (const auto* object = value.if_object()) {
        std::size_t pad = 0;
        for (const auto& member : *object) pad = std::max(pad, is_table(member.value()) ? 0 : width(member.key()));
        for (const auto& member : *object) out += render_member(member.key(), pad, member.value(), indent);
        return out;
    }
    return value.is_null() ? std::string() : indent + inline_text(value) + "\n";
}

void write_json(std::string& out, const json::value& value, const std::string& indent) {
    const auto inner = indent + "  ";
    const auto* object = value.if_object();
    const auto* array = value.if_array();
    const bool empty = (object != nullptr && object->empty()) || (array != nullptr && array->empty());
    if (!is_container(value) || empty) {
        out += json::serialize(value);
        return;
    }
    bool first = true;
    const auto next = [&] {
        out += first ? "\n" : ",\n";
        out += inner;
        first = false;
    };
    out += object != nullptr ? '{' : '[';
    if (object != nullptr) {
        for (const auto& member : *object) {
            next();
            out += json::serialize(json::value(member.key())) + ": ";
            write_json(out, member.value(), inner);
        }
    } else {
        for (const auto& item : *array) {
            next();
            write_json(out, item, inner);
        }
    }
    out += "\n" + indent + (object != nullptr ? '}' : ']');
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        // 0x80..0x9f as UTF-8 (C1 control characters) are 0xc2 0x80..0x9f.
        const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (c1) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
        } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string render_text(const Output& output) {
    if (!output.text.empty()) {
        auto text = printable(output.text);
        if (text.back() != '\n') text += '\n';
        return text;
    }
    if (const auto* string = output.data.if_string()) {
        auto text = printable({string->data(), string->size()});
        if (!text.empty() && text.back() != '\n') text += '\n';
        return text;
    }
    if (const auto* rows = output.data.if_array(); rows != nullptr && !output.columns.empty()) {
        return render_table(*rows, output.columns, "");
    }
    return render_value(output.data, "");
}

std::string render_json(const boost::json::value& value) {
    std::string out;
    write_json(out, value, "");
    return out + "\n";
}

}  // namespace nett
