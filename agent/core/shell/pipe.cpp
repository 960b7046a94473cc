#include "agent/core/shell/pipe.hpp"

#include <algorithm>

#include <re2/re2.h>

#include "agent/core/config/match.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

enum StageIndex : std::size_t { kIncludeStage, kExcludeStage, kBeginStage, kSectionStage, kCountStage, kJsonStage };

constexpr const char* kStages = "include, exclude, begin, section, count or json";
constexpr std::int64_t kMostMemory = 1 << 20;  // of a compiled pattern

std::shared_ptr<const RE2> compile(const std::string& text) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kMostMemory);
    auto pattern = std::make_shared<const RE2>(text, options);
    if (pattern->ok()) return pattern;
    return std::make_shared<const RE2>(RE2::QuoteMeta(text), options);
}

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
            {"include {pattern:text}", "Only lines that match this regular expression"},
            {"exclude {pattern:text}", "Only lines that do not match it"},
            {"begin {pattern:text}", "From the first line that matches it"},
            {"section {pattern:text}", "Lines that match it, with what is indented below them"},
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
        if (words->empty()) return fail(Code::kInvalidArgument, "behind \"|\" stands {}", kStages);
        if (pipe.counting_) return fail(Code::kInvalidArgument, "\"count\" is the last behind \"|\"");
        auto outcome = match_line(patterns, stage, *words, MatchMode::kAbbreviations);
        if (!outcome.match) {
            const auto hint = outcome.mismatch.progress == 0 ? fmt::format("; it is {}", kStages) : std::string();
            return fail(Code::kInvalidArgument, "behind \"|\": {}{}", outcome.mismatch.message, hint);
        }
        const auto index = outcome.match->index;
        if (index <= kSectionStage) {
            pipe.filters_.push_back(
                {static_cast<Kind>(index), compile(outcome.match->args.find("pattern")->second), false, 0});
        }
        pipe.counting_ = index == kCountStage;
        pipe.json_ = pipe.json_ || index == kJsonStage;
    }
    return pipe;
}

bool Pipe::keeps(Filter& filter, std::string_view line) {
    const bool matches = RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), *filter.pattern);
    const auto indent = std::min(line.find_first_not_of(' '), line.size());
    switch (filter.kind) {
        case Kind::kInclude:
            return matches;
        case Kind::kExclude:
            return !matches;
        case Kind::kBegin:
            return filter.open = filter.open || matches;
        case Kind::kSection:
            if (filter.open && indent > filter.indent) return true;
            filter.open = matches;
            filter.indent = indent;
            return matches;
    }
    return true;
}

std::string Pipe::feed(std::string_view text) {
    if (filters_.empty() && !counting_) return std::string(text);
    if (text.ends_with('\n')) text.remove_suffix(1);
    std::string out;
    if (text.empty()) return out;
    for (const auto line : split(text, '\n')) {
        const bool kept =
            std::all_of(filters_.begin(), filters_.end(), [&](Filter& filter) { return keeps(filter, line); });
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
