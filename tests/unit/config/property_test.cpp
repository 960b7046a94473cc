// Random grammars, random trees of them: what is printed reads back as it was.
#include <random>

#include "agent/core/config/edit.hpp"
#include "tests/unit/config/fixture.hpp"

namespace nett::test {
namespace {

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t limit) {
    return random() % limit;
}

std::string pick(Random& random, const std::vector<std::string>& from) {
    return from[below(random, from.size())];
}

const std::vector<std::string> kKeywords = {"alpha", "alp",  "beta",   "gamma", "gam",
                                            "delta", "step", "prefix", "a",     "b"};

std::string random_argument(Random& random, std::size_t number, bool last) {
    const std::vector<std::string> types = {"word",
                                            "int:3..90",
                                            "choice:step|on|off",
                                            "prefix6",
                                            "address6",
                                            "ifaddress6",
                                            "endpoint6",
                                            "path",
                                            "word:@names",
                                            last ? "text" : "word",
                                            last ? "interfaces" : "path"};
    return fmt::format("{{arg{}:{}}}", number, pick(random, types));
}

// A command of `node`; the commands of one node differ in their first keyword or in their second.
ConfigCommand random_command(Random& random, std::string node, std::size_t number) {
    ConfigCommand command;
    command.node = std::move(node);
    command.pattern = fmt::format("{}{}", pick(random, kKeywords), number);
    const auto tokens = below(random, 4);
    for (std::size_t i = 0; i < tokens; ++i) {
        const bool keyword = below(random, 3) == 0;
        command.pattern += " " + (keyword ? pick(random, kKeywords) : random_argument(random, i, i + 1 == tokens));
        if (!keyword && below(random, 2) == 0) command.keys.push_back(fmt::format("arg{}", i));
    }
    return command;
}

// The same commands may stand in several nodes, inner and outer: the printer must close what it opened.
std::vector<ConfigCommand> random_commands(Random& random) {
    std::vector<ConfigCommand> commands;
    std::vector<std::string> nodes = {""};
    const auto shared = random();
    for (std::size_t n = 0; n < nodes.size() && nodes.size() < 6; ++n) {
        Random same(static_cast<Random::result_type>(shared));
        for (std::size_t i = 0; i < 5; ++i) {
            auto command = random_command(below(random, 2) == 0 ? same : random, nodes[n], i);
            if (below(random, 3) == 0) {
                command.enters = fmt::format("node{}", nodes.size());
                nodes.push_back(command.enters);
            }
            commands.push_back(std::move(command));
        }
    }
    return commands;
}

std::string random_text(Random& random) {
    static const std::vector<std::string> kPieces = {"a",  "\"",   "\\", " ",  "|",   "!",   "#",
                                                     "no", "exit", "ä",  "  ", "\" ", "x y", "\t"};
    std::string out;
    for (auto n = below(random, 6); n > 0; --n) out += pick(random, kPieces);
    return out;
}

std::string random_value(Random& random, const Token& token) {
    const auto hex = [&] { return fmt::format("{:x}", below(random, 0x10000)); };
    switch (token.kind) {
        case TokenKind::kText:
            return random_text(random);
        case TokenKind::kInteger:
            return fmt::format("{}", token.low + static_cast<std::int64_t>(below(random, token.high - token.low + 1)));
        case TokenKind::kChoice:
            return pick(random, token.choices);
        case TokenKind::kPrefix6:
            return fmt::format("2001:db8:{}::/{}", hex(), 48 + below(random, 17));
        case TokenKind::kAddress6:
            return fmt::format("2001:db8:{}::{}", hex(), hex());
        case TokenKind::kInterfaceAddress6:
            return fmt::format("2001:db8::{}/{}", hex(), below(random, 129));
        case TokenKind::kEndpoint6:
            return fmt::format("[2001:db8::{}]:{}", hex(), 1 + below(random, 65535));
        case TokenKind::kPath:
            return "/etc/" + pick(random, kKeywords);
        case TokenKind::kInterfaces:
            return pick(random, {"swp1-48", "Ethernet0-188 step 4", "swp1,swp3-4,!swp2", "step", "eth0"});
        default:
            return pick(random, {"x", "no", "exit", "step", "!", "#", "ä", "alpha0", "a|b"});
    }
}

void fill(Random& random, const Grammar& grammar, ConfigNode& node, const std::string& name) {
    for (auto n = below(random, 7); n > 0; --n) {
        const auto commands = grammar.in_node(name);
        if (commands.empty()) return;
        const auto& command = *commands[below(random, commands.size())];
        Match match;
        for (const auto& token : command.pattern.tokens()) {
            if (!match.line.empty()) match.line += ' ';
            if (token.is_keyword()) {
                match.line += token.name;
                continue;
            }
            auto value = canonical_argument(token, random_value(random, token));
            ASSERT_TRUE(value) << value.error().to_string();
            match.line += token.kind == TokenKind::kText ? quote_text(*value) : *value;
            match.args.emplace(token.name, *value);
        }
        auto& entry = set_entry(node, command, match, {});
        if (entry.opens_node()) fill(random, grammar, entry.children(), command.spec.enters);
    }
}

// Same lines and the same argument values.
bool identical(const ConfigNode& a, const ConfigNode& b, const Grammar& grammar) {
    if (a.entries().size() != b.entries().size()) return false;
    for (std::size_t i = 0; i < a.entries().size(); ++i) {
        const auto& x = a.entries()[i];
        const auto& y = b.entries()[i];
        if (x.line() != y.line() || x.rank() != y.rank() || !identical(x.children(), y.children(), grammar))
            return false;
        for (const auto& token : grammar.command(x.rank()).pattern.tokens()) {
            if (!token.is_keyword() && x.arg(token.name) != y.arg(token.name)) return false;
        }
    }
    return true;
}

class RoundTrip : public ::testing::TestWithParam<unsigned> {};

TEST_P(RoundTrip, WhatIsPrintedReadsBackAsItWas) {
    Random random(GetParam());
    for (int grammars = 0; grammars < 20; ++grammars) {
        const auto grammar = Grammar::build(random_commands(random));
        ASSERT_TRUE(grammar) << grammar.error().to_string();
        for (int trees = 0; trees < 20; ++trees) {
            ConfigNode root;
            fill(random, *grammar, root, "");
            const auto text = print_config(root);
            const auto parsed = parse_config(*grammar, text, "random.conf");
            ASSERT_TRUE(parsed.diagnostics.empty()) << ::testing::PrintToString(findings(parsed)) << "\n" << text;
            ASSERT_TRUE(identical(root, parsed.root, *grammar)) << text << "reads back as\n"
                                                                << print_config(parsed.root);
            ASSERT_EQ(print_config(parsed.root), text);
        }
    }
}

TEST_P(RoundTrip, DiffIsEmptyExactlyForEqualTrees) {
    Random random(GetParam());
    const auto grammar = Grammar::build(random_commands(random)).value();
    for (int pairs = 0; pairs < 100; ++pairs) {
        ConfigNode a;
        ConfigNode b;
        fill(random, grammar, a, "");
        fill(random, grammar, b, "");
        EXPECT_EQ(diff_config(a, a), "");
        EXPECT_EQ(diff_config(a, b).empty(), same_config(a, b));
    }
}

TEST_P(RoundTrip, RebaseOnAnUnchangedConfigurationIsTheCandidate) {
    Random random(GetParam());
    const auto grammar = Grammar::build(random_commands(random)).value();
    for (int pairs = 0; pairs < 100; ++pairs) {
        ConfigNode base;
        ConfigNode mine;
        fill(random, grammar, base, "");
        fill(random, grammar, mine, "");
        EXPECT_TRUE(same_config(rebase_config(grammar, base, mine, base).value(), mine));
        EXPECT_TRUE(same_config(rebase_config(grammar, base, base, mine).value(), mine));
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoundTrip, ::testing::Range(1U, 11U));

}  // namespace
}  // namespace nett::test
