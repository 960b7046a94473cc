// What can be typed where: the commands of a mode, and what may follow.
#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/core/config/edit.hpp"
#include "agent/core/shell/impl.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace json = boost::json;

std::string_view first_word(std::string_view line) {
    return line.substr(0, line.find_first_of(" \t"));
}

std::string_view behind_word(std::string_view line) {
    const auto word = first_word(line);
    const auto rest = line.substr(word.size());
    const auto begin = rest.find_first_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view() : rest.substr(begin);
}

std::string Shell::Impl::prompt(const Session& session, const Caller& caller) const {
    const char sign = caller.role == Role::kAdmin ? '#' : '>';
    const auto host = settings.hostname ? settings.hostname() : std::string("nett");
    if (!session.configuring) return fmt::format("{}{} ", host, sign);
    return fmt::format("{}(config{}){} ", host, session.path.empty() ? "" : "-" + session.path.back().node, sign);
}

CommandList Shell::Impl::available(bool configuring) const {
    CommandList out;
    for (const auto& command : commands) {
        const bool show = command->in_exec && command->pattern.tokens().front().name == "show";
        if (configuring ? command->in_config || show : command->in_exec) out.push_back(command);
    }
    return out;
}

bool Shell::Impl::is_shell_word(std::string_view word) const {
    const auto list = available(true);
    return std::any_of(list.begin(), list.end(),
                       [&](const auto& c) { return c->pattern.tokens().front().name == word; });
}

MatchOutcome Shell::Impl::match(const CommandList& list, std::string_view line) const {
    std::vector<const Pattern*> patterns;
    for (const auto& command : list) patterns.push_back(&command->pattern);
    auto words = split_words(line);
    if (words) return match_line(patterns, line, *words, MatchMode::kAbbreviations);
    MatchOutcome outcome;
    outcome.mismatch.message = words.error().to_string();
    return outcome;
}

std::vector<Candidate> Shell::Impl::exec_candidates(bool configuring, Role role) const {
    std::vector<Candidate> out;
    for (const auto& command : available(configuring)) {
        if (command->role <= role) out.push_back({&command->pattern});
    }
    return out;
}

std::vector<Candidate> Shell::Impl::config_candidates(const Session& session, std::size_t depth) const {
    std::vector<Candidate> out;
    for (const auto* command : grammar.in_node(depth == 0 ? "" : session.path[depth - 1].node)) {
        out.push_back({&command->pattern, command->spec.default_text});
    }
    return out;
}

CompletionResult Shell::Impl::complete(const Session& session, const Caller& caller, std::string_view line) const {
    const auto begin = line.find_first_not_of(" \t");
    line = begin == std::string_view::npos ? std::string_view() : line.substr(begin);
    const bool second_word = line.size() > first_word(line).size();
    if (!session.configuring) return complete_piped(exec_candidates(false, caller.role), line);
    if (second_word && first_word(line) == "do") {
        return complete_piped(exec_candidates(false, caller.role), behind_word(line));
    }
    CompletionResult result;
    // An outer node's commands show up only where the inner one has none.
    for (auto depth = session.path.size() + 1; depth-- > 0 && result.completions.empty() && !result.complete;) {
        result = second_word && first_word(line) == "no" ? complete_removal(session, depth, behind_word(line))
                                                         : complete_setting(session, caller, depth, line);
    }
    return result;
}

CompletionResult Shell::Impl::complete_setting(const Session& session, const Caller& caller, std::size_t depth,
                                               std::string_view line) const {
    static const Pattern kDo =
        Pattern::compile("do {line:text}", {}, "Run a command as outside of the configuration").value();
    static const Pattern kNo = Pattern::compile("no {line:text}", {}, "Remove a line of the configuration").value();
    auto candidates = config_candidates(session, depth);
    for (auto& candidate : exec_candidates(true, caller.role)) candidates.push_back(std::move(candidate));
    candidates.push_back({&kDo});
    candidates.push_back({&kNo});
    return complete_piped(candidates, line);
}

// Behind `no`: the values that are not keys may be left out.
CompletionResult Shell::Impl::complete_removal(const Session& session, std::size_t depth, std::string_view line) const {
    auto result = complete_patterns(config_candidates(session, depth), line, settings.sources);
    std::vector<std::string> nodes;
    for (std::size_t i = 0; i < depth; ++i) nodes.push_back(session.path[i].node);
    const auto placed = place_removal(grammar, nodes, trim(line), MatchMode::kAbbreviations);
    result.complete = placed.placement && placed.placement->depth == depth;
    return result;
}

CompletionResult Shell::Impl::complete_piped(const std::vector<Candidate>& candidates, std::string_view line) const {
    const auto piped = split_pipes(line);
    if (!piped || !piped->piped) return complete_patterns(candidates, line, settings.sources);
    std::vector<Candidate> stages;
    for (const auto& pattern : pipe_patterns()) stages.push_back({&pattern});
    const bool open_end = line.ends_with(' ');
    const auto& last = piped->stages.back();
    return complete_patterns(stages, open_end && !last.empty() ? last + " " : last, settings.sources);
}

Output Shell::Impl::help(const Session& session) const {
    json::array rows;
    const auto add = [&](const Pattern& pattern) {
        rows.push_back(json::object{{"command", pattern.usage()}, {"help", pattern.help()}});
    };
    if (session.configuring) {
        for (const auto& candidate : config_candidates(session, session.path.size())) add(*candidate.pattern);
    }
    for (const auto& candidate : exec_candidates(session.configuring, session.role)) add(*candidate.pattern);
    Output output;
    output.data = std::move(rows);
    output.columns = {{"command", "Command"}, {"help", "Help"}};
    return output;
}

}  // namespace nett
