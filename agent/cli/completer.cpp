#include "agent/cli/completer.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace nett::cli {

namespace {

std::size_t common_length(std::string_view a, std::string_view b) {
    const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(ends.first - a.begin());
}

}  // namespace

std::string tab_insertion(std::string_view line, const Suggestions& suggestions) {
    const auto blank = line.find_last_of(" \t");
    const auto partial = blank == std::string_view::npos ? line : line.substr(blank + 1);
    std::string shared;
    std::size_t words = 0;
    for (const auto& suggestion : suggestions.list) {
        if (!suggestion.insertable || !std::string_view(suggestion.token).starts_with(partial)) continue;
        shared = words++ == 0 ? suggestion.token : shared.substr(0, common_length(shared, suggestion.token));
    }
    if (words == 0) return {};
    return shared.substr(partial.size()) + (words == 1 ? " " : "");
}

std::string help_text(const Suggestions& suggestions) {
    std::size_t width = 0;
    for (const auto& suggestion : suggestions.list) width = std::max(width, suggestion.token.size());
    std::string out;
    for (const auto& suggestion : suggestions.list)
        out += fmt::format("  {:<{}}  {}\n", suggestion.token, width, suggestion.help);
    if (suggestions.complete) out += "  <cr>\n";
    return out.empty() ? "% there is no such command\n" : out;
}

}  // namespace nett::cli
