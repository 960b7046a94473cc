// What `?` and Tab show.
#include <algorithm>
#include <map>

#include "agent/core/config/match.hpp"
#include "agent/core/shell/session.hpp"

namespace nett {

namespace {

constexpr std::size_t kMostNames = 200;   // live names in one answer
constexpr std::size_t kLongestHelp = 70;  // of a keyword that several commands share

// Collects candidates; a keyword that several commands share has what may follow it as its help.
class Collector {
public:
    explicit Collector(std::string_view partial) : partial_(partial) {}

    void add(const Candidate& candidate, std::size_t at, const CompletionSources& sources) {
        const auto& tokens = candidate.pattern->tokens();
        const auto& token = tokens[at];
        if (token.is_keyword()) {
            insertable(token.name, token.help,
                       at + 1 < tokens.size() ? tokens[at + 1].placeholder() : std::string("<cr>"));
            return;
        }
        const auto help = candidate.default_text.empty()
                              ? token.help
                              : fmt::format("{} (default {})", token.help, candidate.default_text);
        for (const auto& choice : token.choices) insertable(choice, help, {});
        if (!token.choices.empty()) return;
        // Ports are known whatever the pattern says.
        const std::string_view name =
            token.kind == TokenKind::kInterfaces ? "interfaces" : std::string_view(token.source);
        if (const auto source = sources.find(name); source != sources.end()) names(source->second(), help);
        placeholders_.emplace(token.placeholder(), help);
    }

    std::vector<Completion> take() const {
        std::vector<Completion> out;
        for (const auto& [token, entry] : insertables_) out.push_back({token, entry.help(token), true});
        for (const auto& [token, help] : placeholders_) out.push_back({token, help, false});
        return out;
    }

private:
    struct Entry {
        std::vector<std::string> helps;
        std::vector<std::string> next;
        std::string own = {};  // of the command that ends with the keyword

        std::string help(std::string_view token) const {
            if (token == "show") return "Show state and configuration";
            if (!own.empty()) return own;
            if (helps.size() == 1) return helps.front();
            std::string list;
            for (const auto& word : next) {
                if (list.size() + word.size() > kLongestHelp) return list + ", ...";
                list += (list.empty() ? "" : ", ") + word;
            }
            return list;
        }
    };

    static void add_once(std::vector<std::string>& list, std::string text) {
        if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
    }

    void insertable(const std::string& token, const std::string& help, std::string next) {
        if (!token.starts_with(partial_)) return;
        auto& entry = insertables_[token];
        add_once(entry.helps, help);
        add_once(entry.next, std::move(next));
    }

    void names(const std::vector<std::string>& names, const std::string& help) {
        std::size_t added = 0;
        for (const auto& name : names) {
            if (!name.starts_with(partial_) || ++added > kMostNames) continue;
            insertable(name, help, {});
        }
    }

    std::string_view partial_;
    std::map<std::string, Entry> insertables_;
    std::map<std::string, std::string> placeholders_;
};

}  // namespace

CompletionResult complete_patterns(const std::vector<Candidate>& candidates, std::string_view line,
                                   const CompletionSources& sources) {
    auto words = split_words(line);
    if (!words) return {};
    std::vector<const Pattern*> patterns;
    for (const auto& candidate : candidates) patterns.push_back(candidate.pattern);

    CompletionResult result;
    result.complete =
        !words->empty() && match_line(patterns, line, *words, MatchMode::kAbbreviations).match.has_value();
    std::string partial;
    const bool inside_word = !words->empty() && words->back().end == line.size();
    if (inside_word) {
        partial = words->back().text;
        words->pop_back();
    }
    std::vector<Walk> walks;
    for (const auto* pattern : patterns)
        walks.push_back(walk_pattern(*pattern, line, *words, MatchMode::kAbbreviations));
    Collector collector(partial);
    for (const auto i : fitting_patterns(patterns, walks)) {
        if (walks[i].stop == Walk::Stop::kNeedsMore) collector.add(candidates[i], walks[i].tokens, sources);
    }
    result.completions = collector.take();
    return result;
}

}  // namespace nett
