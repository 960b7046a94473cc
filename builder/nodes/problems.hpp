// What is wrong with a file that a person wrote, all of it at once: each with its line and what to write instead.
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include "agent/sdk/result.hpp"

namespace nett::builder {

struct Problem {
    int line = 0;  // from 1; 0: the file as a whole
    std::string message;
};

class Problems {
public:
    template <typename... Args>
    void add(int line, fmt::format_string<Args...> format, Args&&... args) {
        list_.push_back({line, fmt::format(format, std::forward<Args>(args)...)});
    }
    // An error of a value's parser becomes a problem of the line.
    void add(int line, const Error& error) { list_.push_back({line, error.to_string()}); }
    bool empty() const { return list_.empty(); }
    // In order of their lines, without doubles.
    std::vector<Problem> sorted() const;
    // As errors whose context is "file:line".
    std::vector<Error> errors(const std::string& file) const;

private:
    std::vector<Problem> list_;
};

}  // namespace nett::builder
