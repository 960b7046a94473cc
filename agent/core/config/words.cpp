#include "agent/core/config/words.hpp"

#include <algorithm>

namespace nett {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// Reads the quoted word that begins at `at`; moves `at` behind its closing quote.
Result<std::string> read_quoted(std::string_view line, std::size_t& at) {
    std::string text;
    for (std::size_t i = at + 1; i < line.size(); ++i) {
        if (line[i] == '"') {
            at = i + 1;
            return text;
        }
        const bool escape = line[i] == '\\' && i + 1 < line.size() && (line[i + 1] == '"' || line[i + 1] == '\\');
        if (escape) ++i;
        text += line[i];
    }
    return fail(Code::kInvalidArgument, "the quote before {} is not closed", line.substr(at + 1));
}

// Length of the UTF-8 sequence at the front of `text`, 0 when it is none. RFC 3629 section 4.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80U) return 0;
    }
    const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
    const bool surrogate = lead == 0xed && byte(1) > 0x9f;
    const bool beyond = lead == 0xf4 && byte(1) > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

Result<std::vector<Word>> split_words(std::string_view line) {
    std::vector<Word> words;
    std::size_t at = 0;
    while (true) {
        while (at < line.size() && is_blank(line[at])) ++at;
        if (at == line.size()) return words;
        Word word;
        word.begin = at;
        if (line[at] == '"') {
            auto text = read_quoted(line, at);
            if (!text) return fail(std::move(text.error()));
            word.text = std::move(*text);
            word.quoted = true;
        }
        const auto rest = at;
        while (at < line.size() && !is_blank(line[at])) ++at;
        word.text += line.substr(rest, at - rest);
        word.quoted = word.quoted && rest == at;
        word.end = at;
        words.push_back(std::move(word));
    }
}

std::string quote_text(std::string_view text) {
    const bool plain = !text.empty() && text.front() != '"' && !is_blank(text.front()) && !is_blank(text.back()) &&
                       text.find(" \"") == std::string_view::npos && text.find("\t\"") == std::string_view::npos;
    if (plain) return std::string(text);
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

Result<void> check_plain_text(std::string_view text) {
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0) return fail(Code::kInvalidArgument, "the line has bytes that are not UTF-8");
        const auto lead = static_cast<unsigned char>(text.front());
        if ((lead < 0x20 && lead != '\t') || lead == 0x7f) {
            return fail(Code::kInvalidArgument, "the line has a control character (0x{:02x})", lead);
        }
        text.remove_prefix(length);
    }
    return {};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    // Optimal string alignment, three rows.
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> above(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        before.swap(above);
        above.swap(row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
    }
    return row[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    constexpr std::size_t kLongestWord = 64;  // nobody mistypes longer ones, and the distance is quadratic
    if (word.size() > kLongestWord) return {};
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const auto& candidate : candidates) {
        const auto distance = candidate.starts_with(word) && word.size() > 1 ? 1 : edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace nett
