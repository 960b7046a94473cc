#include "agent/core/config/edit.hpp"

#include <algorithm>
#include <set>

namespace nett {

namespace {

std::vector<const Pattern*> patterns_of(const std::vector<const GrammarCommand*>& commands) {
    std::vector<const Pattern*> patterns;
    patterns.reserve(commands.size());
    for (const auto* command : commands) patterns.push_back(&command->pattern);
    return patterns;
}

std::string node_name(const Grammar& grammar, std::string_view node) {
    const auto* opener = grammar.opener(node);
    return opener == nullptr ? "at the top" : fmt::format("in \"{}\"", opener->pattern.usage());
}

// The line would be right in another node: says which one. Empty when no node has it.
std::string right_elsewhere(const Grammar& grammar, std::string_view line, const std::vector<Word>& words) {
    std::vector<std::string> places;
    std::vector<std::string> similar;
    for (const auto& command : grammar.commands()) {
        const auto walk = walk_pattern(command.pattern, line, words, MatchMode::kFullWords);
        if (walk.words == 0) continue;
        auto& list = walk.stop == Walk::Stop::kComplete ? places : similar;
        auto place = node_name(grammar, command.spec.node);
        if (std::find(list.begin(), list.end(), place) == list.end()) list.push_back(std::move(place));
    }
    if (places.empty()) places = std::move(similar);
    if (places.empty()) return {};
    return fmt::format("\"{}\" does not belong here; it is valid {}", line, fmt::join(places, " and "));
}

// Calls `try_node` for the nodes from the innermost to the top until one takes the line; else the best explanation.
template <typename TryNode>
PlacementOutcome place(const Grammar& grammar, const std::vector<std::string>& nodes, TryNode try_node) {
    PlacementOutcome outcome;
    std::optional<Mismatch> best;
    for (std::size_t depth = nodes.size() + 1; depth-- > 0;) {
        const auto commands = grammar.in_node(depth == 0 ? std::string_view() : nodes[depth - 1]);
        Mismatch mismatch;
        if (auto placement = try_node(commands, mismatch)) {
            placement->depth = depth;
            outcome.placement = std::move(placement);
            return outcome;
        }
        // An ambiguous word must not be taken for a command of an outer node.
        const bool final = mismatch.ambiguous;
        if (!commands.empty() && (!best || mismatch.progress > best->progress)) {
            outcome.misplacement.likely = mismatch.likely ? commands[*mismatch.likely] : nullptr;
            outcome.misplacement.depth = depth;
            best = std::move(mismatch);
        }
        if (final) break;
    }
    outcome.misplacement.message = best ? best->message : "there are no commands";
    outcome.misplacement.unknown = !best || best->progress == 0;
    return outcome;
}

// A removal names the keywords and the keys; values behind them may be left out. Behind the keys of a keyed command
// keywords may be left out too.
bool enough_for_removal(const GrammarCommand& command, const Walk& walk) {
    if (!walk.fits() || walk.tokens == 0) return false;
    const auto& tokens = command.pattern.tokens();
    const auto& keys = command.spec.keys;
    return std::none_of(
        tokens.begin() + static_cast<std::ptrdiff_t>(walk.tokens), tokens.end(), [&](const Token& token) {
            return token.is_keyword() ? keys.empty() : std::find(keys.begin(), keys.end(), token.name) != keys.end();
        });
}

bool same_keys(const ConfigEntry& entry, const GrammarCommand& command, const Arguments& args) {
    return std::all_of(command.spec.keys.begin(), command.spec.keys.end(), [&](const std::string& key) {
        const auto found = args.find(key);
        return found != args.end() && entry.arg(key) == found->second;
    });
}

}  // namespace

PlacementOutcome place_line(const Grammar& grammar, const std::vector<std::string>& nodes, std::string_view line,
                            MatchMode mode) {
    auto words = split_words(line);
    if (!words) return {std::nullopt, {words.error().to_string()}};
    auto outcome = place(grammar, nodes, [&](const auto& commands, Mismatch& mismatch) -> std::optional<Placement> {
        auto matched = match_line(patterns_of(commands), line, *words, mode);
        mismatch = std::move(matched.mismatch);
        if (!matched.match) return std::nullopt;
        Placement placement;
        placement.command = commands[matched.match->index];
        placement.match = std::move(*matched.match);
        return placement;
    });
    if (!outcome.placement && outcome.misplacement.unknown) {
        auto elsewhere = right_elsewhere(grammar, line, *words);
        if (!elsewhere.empty()) outcome.misplacement.message = std::move(elsewhere);
    }
    return outcome;
}

PlacementOutcome place_removal(const Grammar& grammar, const std::vector<std::string>& nodes, std::string_view line,
                               MatchMode mode) {
    auto words = split_words(line);
    if (!words) return {std::nullopt, {words.error().to_string()}};
    if (words->empty()) return {std::nullopt, {"say what to remove behind \"no\""}};
    return place(grammar, nodes, [&](const auto& commands, Mismatch& mismatch) -> std::optional<Placement> {
        const auto patterns = patterns_of(commands);
        std::vector<Walk> walks;
        for (const auto* pattern : patterns) walks.push_back(walk_pattern(*pattern, line, *words, mode));
        std::vector<std::size_t> enough;
        std::set<std::string> readings;
        for (const auto i : fitting_patterns(patterns, walks)) {
            if (enough_for_removal(*commands[i], walks[i])) enough.push_back(i);
            readings.insert(walks[i].line);
        }
        if (enough.size() != 1 || readings.size() > 1) {
            mismatch = match_line(patterns, line, *words, mode).mismatch;
            if (!enough.empty()) {
                mismatch.ambiguous = true;
                // Where it reads in one way, several lines of that begin may be meant.
                if (readings.size() == 1) {
                    readings.clear();
                    for (const auto i : enough) readings.insert(commands[i]->pattern.usage());
                }
                mismatch.message = fmt::format("\"no {}\" is ambiguous: {}", line, fmt::join(readings, ", "));
            }
            return std::nullopt;
        }
        const auto& walk = walks[enough.front()];
        Placement placement;
        placement.command = commands[enough.front()];
        placement.match = Match{enough.front(), walk.args, walk.line};
        for (const auto& [name, value] : walk.args) placement.given.push_back(name);
        return placement;
    });
}

ConfigEntry* find_slot(ConfigNode& node, const GrammarCommand& command, const Arguments& args) {
    return const_cast<ConfigEntry*>(find_slot(std::as_const(node), command, args));
}

const ConfigEntry* find_slot(const ConfigNode& node, const GrammarCommand& command, const Arguments& args) {
    const auto& entries = node.entries();
    const auto first = std::lower_bound(entries.begin(), entries.end(), command.rank,
                                        [](const ConfigEntry& e, std::size_t rank) { return e.rank() < rank; });
    for (auto entry = first; entry != entries.end() && entry->rank() == command.rank; ++entry) {
        if (same_keys(*entry, command, args)) return &*entry;
    }
    return nullptr;
}

Arguments key_arguments(const GrammarCommand& command, const ConfigEntry& entry) {
    Arguments keys;
    for (const auto& key : command.spec.keys) keys.emplace(key, entry.arg(key));
    return keys;
}

ConfigEntry& set_entry(ConfigNode& node, const GrammarCommand& command, const Match& match, SourceLocation where) {
    ConfigEntry entry(command.pattern.id(), match.line, match.args, std::move(where), command.rank);
    entry.set_opens_node(!command.spec.enters.empty());
    if (auto* old = find_slot(node, command, match.args)) entry.children() = std::move(old->children());
    return put_entry(node, command, std::move(entry));
}

ConfigEntry& put_entry(ConfigNode& node, const GrammarCommand& command, ConfigEntry entry) {
    if (auto* old = find_slot(node, command, key_arguments(command, entry))) {
        *old = std::move(entry);
        return *old;
    }
    // Other entries of the command have other keys, so there are no ties.
    const auto before = [&](const ConfigEntry& a, const ConfigEntry& b) {
        if (a.rank() != b.rank()) return a.rank() < b.rank();
        for (const auto& key : command.spec.keys) {
            if (a.arg(key) != b.arg(key)) return natural_less(a.arg(key), b.arg(key));
        }
        return false;
    };
    auto& entries = node.entries();
    return *entries.insert(std::upper_bound(entries.begin(), entries.end(), entry, before), std::move(entry));
}

Result<void> remove_entry(ConfigNode& node, const Placement& removal) {
    auto* entry = find_slot(node, *removal.command, removal.match.args);
    if (entry == nullptr) return fail(Code::kNotFound, "\"{}\" is not configured", removal.match.line);
    for (const auto& name : removal.given) {
        if (entry->arg(name) != removal.match.args.find(name)->second) {
            return fail(Code::kFailedPrecondition, "the configuration has \"{}\"; leave the value out to remove it",
                        entry->line());
        }
    }
    auto& entries = node.entries();
    entries.erase(entries.begin() + (entry - entries.data()));
    return {};
}

}  // namespace nett
