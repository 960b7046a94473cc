#include "agent/core/shell/pipe.hpp"

#include <algorithm>

#include "agent/core/config/match.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

enum StageIndex : std::size_t { kInclude, kExclude, kCount, kJson };

}  // namespace

Result<PipedLine> split_pipes(std::string_view line) {
    auto words = split_words(line);
    if (!words) return fail(std::move(words.error()));
    PipedLine out;
    std::size_t begin = 0;
    const auto close = [&](std::size_t end) {
        auto part = std::string(trim(line.substr(begin, end - begin)));
        out.piped ? out.stages.push_back(std::move(part)) : static_cast<void>(out.command = std::move(part));
    };
    for (const auto& word : *words) {
        if (word.quoted || word.text != "|") continue;
        close(word.begin);
        out.piped = true;
        begin = word.end;
    }
    close(line.size());
    return out;
}

const std::vector<Pattern>& pipe_patterns() {
    // In the order of StageIndex.
    static const std::vector<Pattern> kPatterns = [] {
        const std::vector<std::pair<std::string_view, std::string_view>> stages = {
            {"include {text:text}", "Only lines with this text"},
            {"exclude {text:text}", "Only lines without this text"},
            {"count", "How many lines there are"},
            {"json", "As JSON"},
        };
        std::vector<Pattern> patterns;
        for (const auto& [pattern, help] : stages) patterns.push_back(Pattern::compile(pattern, {}, help).value());
        return patterns;
    }();
    return kPatterns;
}

Result<Pipe> Pipe::make(const std::vector<std::string>& stages) {
    Pipe pipe;
    std::vector<const Pattern*> patterns;
    for (const auto& pattern : pipe_patterns()) patterns.push_back(&pattern);
    for (const auto& stage : stages) {
        auto words = split_words(stage);
        if (!words) return fail(std::move(words.error()));
        if (words->empty()) return fail(Code::kInvalidArgument, "behind \"|\" stands include, exclude, count or json");
        if (pipe.counting_) return fail(Code::kInvalidArgument, "\"count\" is the last behind \"|\"");
        auto outcome = match_line(patterns, stage, *words, MatchMode::kAbbreviations);
        if (!outcome.match) return fail(Code::kInvalidArgument, "behind \"|\": {}", outcome.mismatch.message);
        const auto index = outcome.match->index;
        if (index == kInclude || index == kExclude) {
            pipe.filters_.push_back({outcome.match->args.find("text")->second, index == kInclude});
        }
        pipe.counting_ = index == kCount;
        pipe.json_ = pipe.json_ || index == kJson;
    }
    return pipe;
}

std::string Pipe::feed(std::string_view text) {
    if (filters_.empty() && !counting_) return std::string(text);
    if (text.ends_with('\n')) text.remove_suffix(1);
    std::string out;
    if (text.empty()) return out;
    for (const auto line : split(text, '\n')) {
        const bool kept = std::all_of(filters_.begin(), filters_.end(), [&](const Filter& filter) {
            return (line.find(filter.text) != std::string_view::npos) == filter.keep;
        });
        if (!kept) continue;
        ++count_;
        if (!counting_) out += std::string(line) + "\n";
    }
    return out;
}

std::string Pipe::finish() const {
    return counting_ ? fmt::format("{}\n", count_) : std::string();
}

}  // namespace nett
