// One line against many patterns: which command is meant, what is wrong, what could follow. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/config/grammar.hpp"
#include "agent/core/config/words.hpp"

namespace nett {

enum class MatchMode {
    kFullWords,      // files
    kAbbreviations,  // the shell: unique prefixes of keywords
};

using Arguments = std::map<std::string, std::string, std::less<>>;

// The command that a line means.
struct Match {
    std::size_t index = 0;  // in the patterns
    Arguments args;         // canonical
    std::string line;       // canonical
};

// Why a line means none.
struct Mismatch {
    std::size_t progress = 0;  // grows with how much of the line fits; for choosing between several lists of patterns
    bool ambiguous = false;
    bool incomplete = false;            // everything fits as far as it goes
    std::optional<std::size_t> likely;  // the pattern that the line was probably meant to be
    std::string message;
};

struct MatchOutcome {
    std::optional<Match> match;
    Mismatch mismatch;  // when there is no match
};

// Requires that `words` are the words of `line`.
MatchOutcome match_line(const std::vector<const Pattern*>& patterns, std::string_view line,
                        const std::vector<Word>& words, MatchMode mode);

// How one pattern fits the beginning of a line, or all of it.
struct Walk {
    enum class Stop { kComplete, kNeedsMore, kKeyword, kBadValue, kExtra };
    Stop stop = Stop::kNeedsMore;
    std::size_t tokens = 0;   // that fit
    std::size_t words = 0;    // that were used
    std::vector<int> grades;  // per token that fits: how well
    Arguments args;
    std::string line;    // canonical, of the tokens that fit
    std::string reason;  // kBadValue

    bool fits() const { return stop == Stop::kComplete || stop == Stop::kNeedsMore; }
};

Walk walk_pattern(const Pattern& pattern, std::string_view line, const std::vector<Word>& words, MatchMode mode);

// The patterns that fit all words, as one would type on: where one has the exact keyword, those that merely abbreviate
// are out.
std::vector<std::size_t> fitting_patterns(const std::vector<const Pattern*>& patterns, const std::vector<Walk>& walks);

}  // namespace nett
