// What stands behind a command: `| include X | count`. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/config/grammar.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// A line before its first `|` that stands alone, and the stages behind it.
struct PipedLine {
    std::string command;
    std::vector<std::string> stages;
    bool piped = false;  // there was a `|`, whatever stands behind it
};

// kInvalidArgument for a quote that is not closed.
Result<PipedLine> split_pipes(std::string_view line);

// The patterns of the stages: include, exclude, count, json.
const std::vector<Pattern>& pipe_patterns();

// Filters the output of one command, which may come in parts. `include` and `exclude` look for plain text in each line.
class Pipe {
public:
    static Result<Pipe> make(const std::vector<std::string>& stages);

    bool json() const { return json_; }  // `| json` was among the stages
    // Whole lines in, whole lines out.
    std::string feed(std::string_view text);
    // What is left to say at the end: the count.
    std::string finish() const;

private:
    struct Filter {
        std::string text;
        bool keep = true;  // include, else exclude
    };
    std::vector<Filter> filters_;
    bool json_ = false;
    bool counting_ = false;
    std::size_t count_ = 0;
};

}  // namespace nett
