#include "agent/core/config/match.hpp"

#include <algorithm>
#include <set>

namespace nett {

namespace {

// How well a word fits a token.
constexpr int kAbbreviated = 1;
constexpr int kArgument = 2;
constexpr int kExact = 3;
// Words that an error names; more fill the screen.
constexpr std::size_t kMostNamed = 12;

// Reads the argument `token` at words[at]; says how many words it takes.
struct ArgumentText {
    std::string text;
    std::size_t words = 1;
};

ArgumentText argument_text(const Token& token, std::string_view line, const std::vector<Word>& words, std::size_t at) {
    if (token.kind == TokenKind::kText) {
        const bool quoted = words[at].quoted && at + 1 == words.size();
        const auto raw = line.substr(words[at].begin, words.back().end - words[at].begin);
        return {quoted ? words[at].text : std::string(raw), words.size() - at};
    }
    ArgumentText out{words[at].text, 1};
    if (token.kind != TokenKind::kInterfaces) return out;
    // "Ethernet0-188 step 4, swp1": the list goes on behind a comma, and with "step N".
    while (at + out.words < words.size()) {
        const auto& next = words[at + out.words].text;
        const bool step = next == "step" && at + out.words + 1 < words.size();
        if (!step && !out.text.ends_with(',')) break;
        out.text += " " + next;
        if (step) out.text += " " + words[at + out.words + 1].text;
        out.words += step ? 2 : 1;
    }
    return out;
}

void append(std::string& line, std::string_view word) {
    if (!line.empty()) line += ' ';
    line += word;
}

// Keywords of the walk's pattern that the words stand for, by position; arguments as "".
std::vector<std::string> expansion(const Pattern& pattern, const Walk& walk) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < walk.tokens; ++i) {
        const auto& token = pattern.tokens()[i];
        out.push_back(token.is_keyword() ? token.name : std::string());
    }
    return out;
}

// The word could have been meant for either: both abbreviate it, differently. "mach" is "machines" though, where
// "machine" would want a name after it.
bool rivals(const Pattern& a, const Walk& walk_a, const Pattern& b, const Walk& walk_b) {
    const auto expansion_a = expansion(a, walk_a);
    const auto expansion_b = expansion(b, walk_b);
    for (std::size_t i = 0; i < std::min(expansion_a.size(), expansion_b.size()); ++i) {
        if (expansion_a[i] == expansion_b[i] && walk_a.grades[i] == walk_b.grades[i]) continue;
        if (walk_b.stop == Walk::Stop::kNeedsMore && expansion_a[i].starts_with(expansion_b[i])) return false;
        return walk_a.grades[i] == kAbbreviated && walk_b.grades[i] == kAbbreviated;
    }
    return false;
}

std::string quoted_list(const std::set<std::string>& items) {
    std::string out;
    for (const auto& item : items) out += (out.empty() ? "\"" : ", \"") + item + "\"";
    return out;
}

std::string plain_list(const std::set<std::string>& items) {
    return fmt::format("{}", fmt::join(items, ", "));
}

std::string words_until(std::string_view line, const std::vector<Word>& words, std::size_t count) {
    return count == 0 ? std::string() : std::string(line.substr(words[0].begin, words[count - 1].end - words[0].begin));
}

struct Attempt {
    const std::vector<const Pattern*>& patterns;
    std::string_view line;
    const std::vector<Word>& words;
    const std::vector<Walk>& walks;
};

Mismatch incomplete(const Attempt& attempt, const std::vector<std::size_t>& fitting) {
    std::set<std::string> next;
    for (const auto i : fitting) next.insert(attempt.patterns[i]->tokens()[attempt.walks[i].tokens].placeholder());
    Mismatch out;
    out.progress = attempt.words.size() * 2;
    out.incomplete = true;
    if (fitting.size() == 1) out.likely = fitting.front();
    out.message = fmt::format("\"{}\" is not complete; expected {}", attempt.line, plain_list(next));
    return out;
}

Mismatch ambiguous(const Attempt& attempt, const std::vector<std::size_t>& candidates) {
    std::set<std::string> names;
    for (const auto i : candidates) names.insert(attempt.patterns[i]->usage());
    Mismatch out;
    out.progress = attempt.words.size() * 2;
    out.ambiguous = true;
    out.message = fmt::format("\"{}\" is ambiguous: {}", attempt.line, quoted_list(names));
    return out;
}

std::string unknown_word(const Attempt& attempt, std::size_t at, const std::set<std::string>& expected) {
    const auto& word = attempt.words[at].text;
    const auto near = nearest(word, {expected.begin(), expected.end()});
    const auto hint = near.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", near);
    if (at == 0) return fmt::format("unknown command \"{}\"{}", attempt.line, hint);
    return fmt::format("unknown word \"{}\" after \"{}\"{}", word, words_until(attempt.line, attempt.words, at),
                       !near.empty() ? hint
                       : expected.size() > kMostNamed
                           ? fmt::format("; one of {} words, which \"?\" lists", expected.size())
                           : "; expected " + plain_list(expected));
}

// Nothing fits: reports on the patterns that came furthest.
Mismatch explain(const Attempt& attempt) {
    const auto progress = [](const Walk& w) { return w.words * 2 + (w.stop == Walk::Stop::kBadValue ? 1 : 0); };
    Mismatch out;
    for (const auto& walk : attempt.walks) out.progress = std::max(out.progress, progress(walk));
    std::set<std::string> keywords;
    std::set<std::string> reasons;
    bool extra = false;
    std::size_t at = 0;
    for (std::size_t i = 0; i < attempt.walks.size(); ++i) {
        const auto& walk = attempt.walks[i];
        if (progress(walk) != out.progress) continue;
        at = walk.words;
        if (walk.words > 0 && walk.stop != Walk::Stop::kKeyword && !out.likely) out.likely = i;
        const auto& pattern = *attempt.patterns[i];
        if (walk.stop == Walk::Stop::kExtra) extra = true;
        if (walk.stop == Walk::Stop::kKeyword) keywords.insert(pattern.tokens()[walk.tokens].name);
        if (walk.stop == Walk::Stop::kBadValue) {
            const auto& token = pattern.tokens()[walk.tokens];
            const auto name = token.kind == TokenKind::kChoice || token.kind == TokenKind::kInteger ? std::string()
                                                                                                    : token.name + " ";
            reasons.insert(fmt::format("{}: {}{}", pattern.usage(), name, walk.reason));
        }
    }
    if (!reasons.empty()) {
        out.message = fmt::format("{}", fmt::join(reasons, "; or "));
    } else if (extra) {
        out.message = fmt::format("unexpected \"{}\" after \"{}\"", attempt.words[at].text,
                                  words_until(attempt.line, attempt.words, at));
    } else {
        out.message = unknown_word(attempt, at, keywords);
    }
    return out;
}

}  // namespace

Walk walk_pattern(const Pattern& pattern, std::string_view line, const std::vector<Word>& words, MatchMode mode) {
    Walk walk;
    for (const auto& token : pattern.tokens()) {
        if (walk.words == words.size()) return walk;
        if (token.is_keyword()) {
            const auto& word = words[walk.words].text;
            const bool exact = word == token.name;
            const bool abbreviated = mode == MatchMode::kAbbreviations && !word.empty() && token.name.starts_with(word);
            if (!exact && !abbreviated) {
                walk.stop = Walk::Stop::kKeyword;
                return walk;
            }
            walk.grades.push_back(exact ? kExact : kAbbreviated);
            append(walk.line, token.name);
            walk.words += 1;
        } else {
            const auto text = argument_text(token, line, words, walk.words);
            auto value = canonical_argument(token, text.text);
            if (!value) {
                walk.stop = Walk::Stop::kBadValue;
                walk.reason = value.error().to_string();
                return walk;
            }
            walk.grades.push_back(kArgument);
            append(walk.line, token.kind == TokenKind::kText ? quote_text(*value) : *value);
            walk.args.emplace(token.name, std::move(*value));
            walk.words += text.words;
        }
        walk.tokens += 1;
    }
    walk.stop = walk.words == words.size() ? Walk::Stop::kComplete : Walk::Stop::kExtra;
    return walk;
}

std::vector<std::size_t> fitting_patterns(const std::vector<const Pattern*>& patterns, const std::vector<Walk>& walks) {
    std::vector<std::size_t> fitting;
    std::size_t longest = 0;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        if (!walks[i].fits()) continue;
        fitting.push_back(i);
        longest = std::max(longest, walks[i].tokens);
    }
    for (std::size_t token = 0; token < longest; ++token) {
        const auto has = [&](std::size_t i, int grade) {
            return walks[i].tokens > token && walks[i].grades[token] == grade;
        };
        const bool exact = std::any_of(fitting.begin(), fitting.end(), [&](std::size_t i) { return has(i, kExact); });
        if (exact) std::erase_if(fitting, [&](std::size_t i) { return !has(i, kExact); });
    }
    return fitting;
}

MatchOutcome match_line(const std::vector<const Pattern*>& patterns, std::string_view line,
                        const std::vector<Word>& words, MatchMode mode) {
    std::vector<Walk> walks;
    walks.reserve(patterns.size());
    for (const auto* pattern : patterns) walks.push_back(walk_pattern(*pattern, line, words, mode));
    const Attempt attempt{patterns, line, words, walks};

    const auto fitting = fitting_patterns(patterns, walks);
    std::vector<std::size_t> full;
    for (const auto i : fitting) {
        if (walks[i].stop == Walk::Stop::kComplete) full.push_back(i);
    }
    MatchOutcome outcome;
    if (full.empty()) {
        outcome.mismatch = fitting.empty() ? explain(attempt) : incomplete(attempt, fitting);
        return outcome;
    }
    const auto best = *std::max_element(
        full.begin(), full.end(), [&](std::size_t a, std::size_t b) { return walks[a].grades < walks[b].grades; });
    std::vector<std::size_t> candidates = {best};
    for (const auto i : fitting) {
        const bool tie = i != best && walks[i].stop == Walk::Stop::kComplete && walks[i].grades == walks[best].grades;
        if (i != best && (tie || rivals(*patterns[best], walks[best], *patterns[i], walks[i]))) candidates.push_back(i);
    }
    if (candidates.size() > 1) {
        outcome.mismatch = ambiguous(attempt, candidates);
        return outcome;
    }
    outcome.match = Match{best, walks[best].args, walks[best].line};
    return outcome;
}

}  // namespace nett
