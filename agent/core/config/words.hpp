// Lines to words. A word that begins with a double quote ends with the next one; \" and \\ stand for the characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett {

// One word of a line; [begin, end) is where it stands, quotes included.
struct Word {
    std::string text;
    std::size_t begin = 0;
    std::size_t end = 0;
    bool quoted = false;
};

// kInvalidArgument for a quote that is not closed.
Result<std::vector<Word>> split_words(std::string_view line);

// Quotes a {text} value where it would not read back as it is.
std::string quote_text(std::string_view text);

// kInvalidArgument for control characters and for bytes that are not UTF-8.
Result<void> check_plain_text(std::string_view text);

// How many single-character edits (insert, delete, replace, swap neighbours) make `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, or "" when none is near enough to be meant.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace nett
