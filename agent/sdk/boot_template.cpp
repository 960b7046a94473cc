#include "agent/sdk/boot_template.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <kainjow/mustache.hpp>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

enum class Shape { kWord, kWords, kFlag };
struct Name {
    std::string_view name;
    Shape shape;
};

// The manual page nett-metadata(7) says what each is.
constexpr std::array kNames{
    Name{"authority", Shape::kWord}, Name{"artifacts", Shape::kWord},  Name{"kernel", Shape::kWord},
    Name{"initramfs", Shape::kWord}, Name{"arguments", Shape::kWords}, Name{"config", Shape::kWord},
    Name{"timeout", Shape::kWord},   Name{"machine", Shape::kWord},    Name{"tenant", Shape::kWord},
    Name{"profile", Shape::kWord},   Name{"uuid", Shape::kWord},       Name{"mac", Shape::kWord},
    Name{"serial", Shape::kWord},    Name{"port", Shape::kWord},       Name{"prefix", Shape::kWord},
    Name{"set", Shape::kWord},       Name{"version", Shape::kWord},    Name{"architecture", Shape::kWord},
    Name{"schematic", Shape::kWord}, Name{"state", Shape::kWord},      Name{"boot", Shape::kWord},
    Name{"embedded", Shape::kFlag},  Name{"token", Shape::kFlag},      Name{"url", Shape::kFlag},
};
constexpr std::array<std::string_view, 4> kKinds{"install", "wipe", "rescue", "erase"};
constexpr std::string_view kFirstLine = "#!ipxe";
constexpr std::string_view kWipeArgument = "talos.experimental.wipe";

struct Tag {
    char type = ' ';  // ' ' a value, '#', '^', '/'
    std::string name;
    Shape shape = Shape::kWord;
    std::size_t line = 0;
};

std::size_t line_at(std::string_view text, std::size_t offset) {
    return 1 +
           static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

const Name* find_name(std::string_view name) {
    const auto found = std::find_if(kNames.begin(), kNames.end(), [&](const auto& one) { return one.name == name; });
    return found == kNames.end() ? nullptr : &*found;
}

// The tag whose content (without braces) this is; nullopt for a comment.
Result<std::optional<Tag>> parse_tag(std::string_view content, std::size_t line) {
    content = trim(content);
    Tag tag;
    tag.line = line;
    const char first = content.empty() ? '\0' : content.front();
    if (first == '!') return std::nullopt;
    if (first == '>' || first == '=') {
        return fail(Code::kInvalidArgument,
                    "line {}: partials and other delimiters are not supported; write the text out", line);
    }
    if (first == '#' || first == '^' || first == '/' || first == '&') {
        tag.type = first == '&' ? ' ' : first;
        content = trim(content.substr(1));
    }
    const auto* name = find_name(content);
    if (name == nullptr) {
        return fail(Code::kInvalidArgument, "line {}: there is no value \"{}\"; there are {}", line,
                    std::string(content.substr(0, 40)), boot_template_names());
    }
    if (tag.type == ' ' && name->shape == Shape::kFlag) {
        return fail(Code::kInvalidArgument, "line {}: \"{}\" is a flag; write {{{{#{}}}}}…{{{{/{}}}}}", line, content,
                    content, content);
    }
    tag.name = content;
    tag.shape = name->shape;
    return tag;
}

Result<std::vector<Tag>> tags_of(std::string_view text) {
    std::vector<Tag> tags;
    std::vector<Tag> open;
    for (auto at = text.find("{{"); at != std::string_view::npos; at = text.find("{{", at)) {
        const auto line = line_at(text, at);
        const bool triple = text.substr(at).starts_with("{{{");
        const std::string_view closing = triple ? "}}}" : "}}";
        const auto begin = at + closing.size();
        const auto end = text.find(closing, begin);
        if (end == std::string_view::npos) {
            return fail(Code::kInvalidArgument, "line {}: a tag without its \"{}\"", line, closing);
        }
        auto tag = parse_tag(text.substr(begin, end - begin), line);
        if (!tag) return fail(std::move(tag.error()));
        at = end + closing.size();
        if (!*tag) continue;
        if ((*tag)->type == '#' || (*tag)->type == '^') open.push_back(**tag);
        if ((*tag)->type == '/') {
            if (open.empty() || open.back().name != (*tag)->name) {
                return fail(Code::kInvalidArgument, "line {}: {{{{/{}}}}} closes nothing that is open here", line,
                            (*tag)->name);
            }
            open.pop_back();
        }
        tags.push_back(std::move(**tag));
    }
    if (open.empty()) return tags;
    return fail(Code::kInvalidArgument, "line {}: the section \"{}\" is not closed; add {{{{/{}}}}}", open.back().line,
                open.back().name, open.back().name);
}

Result<void> check_text(std::string_view text) {
    if (text.size() > kMaxBootTemplateBytes) {
        return fail(Code::kInvalidArgument, "the template has {} bytes, at most {} are allowed; shorten it",
                    text.size(), kMaxBootTemplateBytes);
    }
    if (text.substr(0, text.find('\n')) != kFirstLine) {
        return fail(Code::kInvalidArgument, "line 1: a script begins with \"{}\" and nothing else in that line",
                    kFirstLine);
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool printable = (text[i] >= 0x20 && text[i] < 0x7f) || text[i] == '\n' || text[i] == '\t';
        if (printable) continue;
        return fail(Code::kInvalidArgument, "line {}: other than printable ASCII; iPXE reads nothing else{}",
                    line_at(text, i), text[i] == '\r' ? ", and ends lines with LF alone" : "");
    }
    return {};
}

// A template as it is parsed once: that takes several times as long as to render it.
struct Compiled {
    std::vector<Tag> tags;
    kainjow::mustache::mustache script;
};
// Profiles with templates of their own are few; four kinds each.
constexpr std::size_t kMaxCompiled = 32;

// Of this thread, because rendering changes a template's state; good until the next call.
Result<Compiled*> compiled(std::string_view text) {
    thread_local std::map<std::string, Compiled, std::less<>> known;
    if (const auto found = known.find(text); found != known.end()) return &found->second;
    auto tags = tags_of(text);
    if (!tags) return fail(std::move(tags.error()));
    Compiled made{std::move(*tags), kainjow::mustache::mustache{std::string(text)}};
    if (!made.script.is_valid()) {
        return fail(Code::kInvalidArgument, "the template: {}", made.script.error_message());
    }
    made.script.set_custom_escape([](const std::string& value) { return value; });
    if (known.size() >= kMaxCompiled) known.clear();
    return &known.emplace(text, std::move(made)).first->second;
}

bool fits(std::string_view value, Shape shape) {
    if (shape != Shape::kWords) return is_boot_word(value);
    const auto words = split(value, ' ');
    return std::all_of(words.begin(), words.end(), is_boot_word);
}

// A value of every shape that a template can meet; the schematic and the like are present.
BootTemplateValues sample_values() {
    BootTemplateValues values;
    for (const auto& one : kNames) {
        if (one.shape == Shape::kFlag) {
            values.flags.emplace(one.name);
        } else {
            values.texts.emplace(one.name, "sample");
        }
    }
    return values;
}

}  // namespace

bool is_boot_word(std::string_view text) {
    constexpr std::string_view kPunctuation = "._,:=/@+-%[]~?";
    return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               kPunctuation.find(c) != std::string_view::npos;
    });
}

std::string boot_template_names() {
    std::string out;
    for (const auto& one : kNames) (out += out.empty() ? "" : ", ") += one.name;
    return out;
}

Result<void> check_boot_template(std::string_view kind, std::string_view text) {
    if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
        return fail(Code::kInvalidArgument, "\"{}\" is not a kind of boot; kinds are install, wipe, rescue, erase",
                    kind);
    }
    NETT_TRY(check_text(text));
    auto tags = tags_of(text);
    if (!tags) return fail(std::move(tags.error()));
    const bool installs = kind == "install" || kind == "wipe";
    const bool passes_arguments = std::any_of(
        tags->begin(), tags->end(), [](const auto& one) { return one.type == ' ' && one.name == "arguments"; });
    if (installs && !passes_arguments) {
        return fail(Code::kInvalidArgument,
                    "the {} template does not use {{{{{{arguments}}}}}}; put it at the end of the kernel line", kind);
    }
    if (const auto wipe = text.find(kWipeArgument); wipe != std::string_view::npos) {
        return fail(Code::kInvalidArgument,
                    "line {}: \"{}\" is part of {{{{{{arguments}}}}}} when it is due; remove it", line_at(text, wipe),
                    kWipeArgument);
    }
    for (const auto& values : {sample_values(), BootTemplateValues{}}) {
        auto script = render_boot_template(text, values);
        if (!script) return fail(std::move(script.error()));
    }
    return {};
}

Result<std::string> render_boot_template(std::string_view text, const BootTemplateValues& values) {
    auto parsed = compiled(text);
    if (!parsed) return fail(std::move(parsed.error()));
    auto& script = (*parsed)->script;
    using kainjow::mustache::data;
    data known;
    for (const auto& tag : (*parsed)->tags) {
        if (tag.shape == Shape::kFlag) {
            if (values.flags.contains(tag.name)) known.set(tag.name, data(data::type::bool_true));
            continue;
        }
        const auto value = values.texts.find(tag.name);
        if (value == values.texts.end() || value->second.empty()) continue;
        if (!fits(value->second, tag.shape)) {
            return fail(Code::kInvalidArgument,
                        "line {}: the value of \"{}\" has a character that a boot script cannot carry; use letters, "
                        "digits and ._,:=/@+-%[]~?",
                        tag.line, tag.name);
        }
        known.set(tag.name, value->second);
    }
    auto out = script.render(known);
    if (!script.is_valid()) return fail(Code::kInvalidArgument, "the template: {}", script.error_message());
    return out;
}

}  // namespace nett
