// What stands behind a command: `| include X | count`. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/config/grammar.hpp"
#include "agent/sdk/result.hpp"

namespace re2 {
class RE2;
}

namespace nett {

// A line before its first `|` that stands alone, and the stages behind it.
struct PipedLine {
    std::string command;
    std::vector<std::string> stages;
    bool piped = false;  // there was a `|`, whatever stands behind it
};

// kInvalidArgument for a quote that is not closed.
Result<PipedLine> split_pipes(std::string_view line);

// The patterns of the stages: include, exclude, begin, section, count, json.
const std::vector<Pattern>& pipe_patterns();

// Filters the output of one command, which may come in parts. Patterns are RE2's regular expressions, whose time is
// bounded whatever they are; what is none is looked for as it stands.
class Pipe {
public:
    static Result<Pipe> make(const std::vector<std::string>& stages);

    bool json() const { return json_; }  // `| json` was among the stages
    // Whole lines in, whole lines out.
    std::string feed(std::string_view text);
    // What is left to say at the end: the count.
    std::string finish() const;

private:
    enum class Kind { kInclude, kExclude, kBegin, kSection };
    struct Filter {
        Kind kind = Kind::kInclude;
        std::shared_ptr<const re2::RE2> pattern;
        bool open = false;       // kBegin: begun; kSection: inside of one
        std::size_t indent = 0;  // kSection: of the line that began it
    };
    static bool keeps(Filter& filter, std::string_view line);

    std::vector<Filter> filters_;
    bool json_ = false;
    bool counting_ = false;
    std::size_t count_ = 0;
};

}  // namespace nett
