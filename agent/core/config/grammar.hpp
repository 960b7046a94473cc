// The command tree: patterns of agent/sdk/config.hpp compiled into tokens, and the configuration commands by node.
//
// Values; immutable after building, so any thread may read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/config.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

enum class TokenKind {
    kKeyword,
    kWord,
    kText,
    kInteger,
    kChoice,
    kPrefix6,
    kAddress6,
    kInterfaceAddress6,
    kEndpoint6,
    kPath,
    kInterfaces,
};

// One token of a pattern.
struct Token {
    TokenKind kind = TokenKind::kKeyword;
    std::string name;  // the keyword, or the argument's name
    std::string help;
    std::int64_t low = 0;  // kInteger: both ends permitted
    std::int64_t high = 0;
    std::vector<std::string> choices;  // kChoice
    std::string source;                // live completions: "machines" of {x:word:@machines}

    bool is_keyword() const { return kind == TokenKind::kKeyword; }
    // What `?` shows: "interval", "<1-1800>", "(high|medium|low)", "X:X::X:X/M", "NAME".
    std::string placeholder() const;
};

// A compiled pattern.
class Pattern {
public:
    // kInvalidArgument with the reason: an unknown type, an empty range, {x:text} before the end, two arguments of one
    // name.
    static Result<Pattern> compile(std::string_view pattern, const std::vector<TokenHelp>& tokens,
                                   std::string_view help);

    const std::vector<Token>& tokens() const { return tokens_; }
    const std::string& id() const { return id_; }          // the keywords joined by blanks
    const std::string& source() const { return source_; }  // as written
    const std::string& help() const { return help_; }
    const Token* argument(std::string_view name) const;  // nullptr when the pattern has none of that name
    // The pattern as the manual and error messages show it: "interval <1-1800>".
    std::string usage() const;

private:
    std::vector<Token> tokens_;
    std::string id_;
    std::string source_;
    std::string help_;
};

// The canonical text of an argument's value: "2001:DB8::/32" → "2001:db8::/32", "007" → "7". kInvalidArgument says what
// is permitted. Requires !token.is_keyword().
Result<std::string> canonical_argument(const Token& token, std::string_view text);

// One configuration command of the grammar.
struct GrammarCommand {
    ConfigCommand spec;
    Pattern pattern;
    std::size_t rank = 0;  // position in the grammar; ConfigEntry::rank()
};

// All configuration commands by the node they are valid in.
class Grammar {
public:
    // A broken command is a kInvalidArgument that names its node and pattern; order is the order of printing.
    static Result<Grammar> build(std::vector<ConfigCommand> commands);

    const std::vector<GrammarCommand>& commands() const { return commands_; }
    // Requires rank < commands().size().
    const GrammarCommand& command(std::size_t rank) const { return commands_[rank]; }
    // The commands of a node in order; empty for an unknown node.
    std::vector<const GrammarCommand*> in_node(std::string_view node) const;
    // The command that opens the node; nullptr for the top and for an unknown node.
    const GrammarCommand* opener(std::string_view node) const;

private:
    std::vector<GrammarCommand> commands_;
    std::map<std::string, std::vector<std::size_t>, std::less<>> by_node_;
    std::map<std::string, std::size_t, std::less<>> openers_;
};

}  // namespace nett
