#include "agent/core/config/grammar.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "agent/core/config/words.hpp"
#include "agent/sdk/address.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

// First words that the shell or the file format use themselves.
constexpr std::array<std::string_view, 15> kReserved = {"no",     "exit",     "end",    "do",        "show",
                                                        "commit", "abort",    "help",   "discard",   "rebase",
                                                        "write",  "rollback", "logout", "configure", "quit"};

struct TypeName {
    std::string_view name;
    TokenKind kind;
};

constexpr std::array<TypeName, 10> kTypes = {{
    {"word", TokenKind::kWord},
    {"text", TokenKind::kText},
    {"int", TokenKind::kInteger},
    {"choice", TokenKind::kChoice},
    {"prefix6", TokenKind::kPrefix6},
    {"address6", TokenKind::kAddress6},
    {"ifaddress6", TokenKind::kInterfaceAddress6},
    {"endpoint6", TokenKind::kEndpoint6},
    {"path", TokenKind::kPath},
    {"interfaces", TokenKind::kInterfaces},
}};

Result<void> parse_range(Token& token, std::string_view range) {
    const auto dots = range.find("..");
    if (dots == std::string_view::npos) return fail(Code::kInvalidArgument, "write the range as {{x:int:LOW..HIGH}}");
    auto low = parse_integer(range.substr(0, dots), 0, INT64_MAX);
    if (!low) return fail(std::move(low.error()));
    auto high = parse_integer(range.substr(dots + 2), 0, INT64_MAX);
    if (!high) return fail(std::move(high.error()));
    if (*high < *low) return fail(Code::kInvalidArgument, "the range {} is empty", range);
    token.low = *low;
    token.high = *high;
    return {};
}

// What stands behind the type: a range, choices, a source of completions.
Result<void> parse_type_detail(Token& token, std::string_view detail) {
    switch (token.kind) {
        case TokenKind::kInteger:
            return parse_range(token, detail);
        case TokenKind::kChoice:
            for (const auto choice : split(detail, '|')) {
                if (choice.empty()) return fail(Code::kInvalidArgument, "write the choices as {{x:choice:a|b}}");
                token.choices.emplace_back(choice);
            }
            return {};
        case TokenKind::kWord:
            if (detail.empty()) return {};
            if (detail.size() < 2 || detail.front() != '@') {
                return fail(Code::kInvalidArgument, "write the source of completions as {{x:word:@name}}");
            }
            token.source = std::string(detail.substr(1));
            return {};
        default:
            if (detail.empty()) return {};
            return fail(Code::kInvalidArgument, "this type takes no detail \"{}\"", detail);
    }
}

Result<Token> parse_argument(std::string_view text) {
    if (text.back() != '}') return fail(Code::kInvalidArgument, "\"{}\" lacks the closing brace", text);
    const auto inner = text.substr(1, text.size() - 2);
    const auto colon = inner.find(':');
    if (colon == std::string_view::npos || colon == 0) {
        return fail(Code::kInvalidArgument, "write an argument as {{name:type}}, not \"{}\"", text);
    }
    auto type = inner.substr(colon + 1);
    std::string_view detail;
    if (const auto second = type.find(':'); second != std::string_view::npos) {
        detail = type.substr(second + 1);
        type = type.substr(0, second);
    }
    const auto* known = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return t.name == type; });
    if (known == kTypes.end()) return fail(Code::kInvalidArgument, "unknown type \"{}\" in \"{}\"", type, text);
    Token token;
    token.kind = known->kind;
    token.name = std::string(inner.substr(0, colon));
    if (auto parsed = parse_type_detail(token, detail); !parsed) return fail(std::move(parsed.error()).in(text));
    return token;
}

Result<Token> parse_token(std::string_view text) {
    if (text.empty()) return fail(Code::kInvalidArgument, "words are separated by one blank");
    if (text.front() == '{') return parse_argument(text);
    if (text.find_first_of("{}\"|!#") != std::string_view::npos) {
        return fail(Code::kInvalidArgument, "\"{}\" cannot be a keyword", text);
    }
    Token token;
    token.name = std::string(text);
    return token;
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return out;
}

Result<std::string> canonical_choice(const Token& token, std::string_view text) {
    if (std::find(token.choices.begin(), token.choices.end(), text) != token.choices.end()) return std::string(text);
    return fail(Code::kInvalidArgument, "\"{}\" is not one of {}", text, fmt::join(token.choices, ", "));
}

Result<std::string> canonical_path(std::string_view text) {
    if (!text.starts_with('/')) {
        return fail(Code::kInvalidArgument, "\"{}\" is not an absolute path; it must begin with /", text);
    }
    return std::string(text);
}

// Text of a parsed value, or its error.
template <typename T, typename Print>
Result<std::string> printed(Result<T> parsed, Print print) {
    if (!parsed) return fail(std::move(parsed.error()));
    return print(*parsed);
}

Result<std::string> canonical_interfaces(std::string_view text) {
    if (auto checked = check_interfaces(text); !checked) return fail(std::move(checked.error()));
    std::string out;
    for (const char c : text) {
        if (c != ' ' || (!out.empty() && out.back() != ' ' && out.back() != ',')) out += c;
    }
    return out;
}

}  // namespace

std::string Token::placeholder() const {
    switch (kind) {
        case TokenKind::kKeyword:
            return name;
        case TokenKind::kInteger:
            return fmt::format("<{}-{}>", low, high);
        case TokenKind::kChoice:
            return fmt::format("({})", fmt::join(choices, "|"));
        case TokenKind::kPrefix6:
        case TokenKind::kInterfaceAddress6:
            return "X:X::X:X/M";
        case TokenKind::kAddress6:
            return "X:X::X:X";
        case TokenKind::kEndpoint6:
            return "[X:X::X:X]:PORT";
        case TokenKind::kText:
            return upper(name) + "...";
        default:
            return upper(name);
    }
}

Result<Pattern> Pattern::compile(std::string_view pattern, const std::vector<TokenHelp>& tokens,
                                 std::string_view help) {
    Pattern compiled;
    compiled.source_ = std::string(pattern);
    compiled.help_ = std::string(help);
    for (const auto word : split(pattern, ' ')) {
        auto token = parse_token(word);
        if (!token) return fail(std::move(token.error()));
        if (!compiled.tokens_.empty() && compiled.tokens_.back().kind == TokenKind::kText) {
            return fail(Code::kInvalidArgument, "{{{}:text}} takes the rest of the line and must be the last",
                        compiled.tokens_.back().name);
        }
        if (token->is_keyword()) {
            compiled.id_ += (compiled.id_.empty() ? "" : " ") + token->name;
        } else if (compiled.argument(token->name) != nullptr) {
            return fail(Code::kInvalidArgument, "two arguments are named \"{}\"", token->name);
        }
        const auto found =
            std::find_if(tokens.begin(), tokens.end(), [&](const auto& t) { return t.token == token->name; });
        token->help = found == tokens.end() ? std::string(help) : found->help;
        compiled.tokens_.push_back(std::move(*token));
    }
    if (!compiled.tokens_.front().is_keyword()) {
        return fail(Code::kInvalidArgument, "a command begins with a keyword");
    }
    return compiled;
}

const Token* Pattern::argument(std::string_view name) const {
    for (const auto& token : tokens_) {
        if (!token.is_keyword() && token.name == name) return &token;
    }
    return nullptr;
}

std::string Pattern::usage() const {
    std::string out;
    for (const auto& token : tokens_) out += (out.empty() ? "" : " ") + token.placeholder();
    return out;
}

Result<std::string> canonical_argument(const Token& token, std::string_view text) {
    if (auto checked = check_plain_text(text); !checked) return fail(std::move(checked.error()));
    if (token.kind == TokenKind::kText) return std::string(text);
    if (text.empty()) return fail(Code::kInvalidArgument, "a value is missing");
    if (token.kind != TokenKind::kInterfaces && text.find_first_of(" \t\"") != std::string_view::npos) {
        return fail(Code::kInvalidArgument, "\"{}\" has a blank or a quote, which is not permitted here", text);
    }
    switch (token.kind) {
        case TokenKind::kInteger:
            return printed(parse_integer(text, token.low, token.high), [](auto v) { return fmt::format("{}", v); });
        case TokenKind::kChoice:
            return canonical_choice(token, text);
        case TokenKind::kPrefix6:
            return printed(Prefix6::parse(text), [](const auto& v) { return v.to_string(); });
        case TokenKind::kAddress6:
            return printed(parse_address6(text), [](const auto& v) { return v.to_string(); });
        case TokenKind::kInterfaceAddress6:
            return printed(InterfaceAddress::parse(text), [](const auto& v) { return v.to_string(); });
        case TokenKind::kEndpoint6:
            return printed(parse_endpoint6(text), [](const auto& v) { return to_string(v); });
        case TokenKind::kPath:
            return canonical_path(text);
        case TokenKind::kInterfaces:
            return canonical_interfaces(text);
        default:
            return std::string(text);
    }
}

Result<Grammar> Grammar::build(std::vector<ConfigCommand> commands) {
    Grammar grammar;
    const auto refuse = [](const ConfigCommand& c, std::string reason) {
        return fail(Code::kInvalidArgument, "command \"{}\" of node \"{}\": {}", c.pattern, c.node, reason);
    };
    for (auto& spec : commands) {
        auto pattern = Pattern::compile(spec.pattern, spec.tokens, spec.help);
        if (!pattern) return refuse(spec, pattern.error().to_string());
        const auto& first = pattern->tokens().front().name;
        if (std::find(kReserved.begin(), kReserved.end(), first) != kReserved.end()) {
            return refuse(spec, fmt::format("\"{}\" is a word of the shell; choose another one", first));
        }
        for (const auto& key : spec.keys) {
            if (pattern->argument(key) == nullptr)
                return refuse(spec, fmt::format("key \"{}\" is not an argument", key));
        }
        const auto rank = grammar.commands_.size();
        for (const auto other : grammar.by_node_[spec.node]) {
            if (grammar.commands_[other].pattern.id() == pattern->id()) {
                return refuse(spec, fmt::format("\"{}\" has the same keywords", grammar.commands_[other].spec.pattern));
            }
        }
        if (!spec.enters.empty() && !grammar.openers_.emplace(spec.enters, rank).second) {
            return refuse(spec, fmt::format("node \"{}\" is opened by another command already", spec.enters));
        }
        grammar.by_node_[spec.node].push_back(rank);
        grammar.commands_.push_back(GrammarCommand{std::move(spec), std::move(*pattern), rank});
    }
    for (const auto& command : grammar.commands_) {
        if (!command.spec.node.empty() && grammar.opener(command.spec.node) == nullptr) {
            return refuse(command.spec, "no command opens this node");
        }
    }
    return grammar;
}

std::vector<const GrammarCommand*> Grammar::in_node(std::string_view node) const {
    std::vector<const GrammarCommand*> found;
    if (const auto at = by_node_.find(node); at != by_node_.end()) {
        for (const auto rank : at->second) found.push_back(&commands_[rank]);
    }
    return found;
}

const GrammarCommand* Grammar::opener(std::string_view node) const {
    const auto at = openers_.find(node);
    return at == openers_.end() ? nullptr : &commands_[at->second];
}

}  // namespace nett
