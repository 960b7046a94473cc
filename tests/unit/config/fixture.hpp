// The example grammar, and helpers to say what a text means in one line.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/core/config/candidate.hpp"
#include "agent/core/config/grammar.hpp"
#include "agent/core/config/parser.hpp"
#include "tests/unit/config/example_commands.hpp"

namespace nett::test {

inline Grammar example_grammar() {
    return Grammar::build(example_commands()).value();
}

// "line: message" of each finding.
inline std::vector<std::string> findings(const ParsedConfig& parsed) {
    std::vector<std::string> out;
    for (const auto& d : parsed.diagnostics) out.push_back(d.to_string());
    return out;
}

// The tree of a text that must be right.
inline ConfigNode tree(const Grammar& grammar, std::string_view text) {
    auto parsed = parse_config(grammar, text, "t.conf");
    EXPECT_TRUE(parsed.diagnostics.empty()) << ::testing::PrintToString(findings(parsed));
    return std::move(parsed.root);
}

// Runs a coroutine to its end.
template <typename T>
T run(Awaitable<T> work) {
    asio::io_context context;
    std::optional<T> result;
    asio::co_spawn(context, std::move(work), [&](std::exception_ptr error, T value) {
        if (error) std::rethrow_exception(error);
        result = std::move(value);
    });
    context.run();
    return std::move(*result);
}

}  // namespace nett::test
