// A small grammar with every kind of token, and helpers to say what a text means in one line.
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

namespace nett::test {

inline std::vector<ConfigCommand> example_commands() {
    return {
        {"", "hostname {name:word}", "name of this agent"},
        {"", "log level {level:choice:debug|info|warning|error}", "least level to log"},
        {"", "log format {format:choice:text|json}", "format of log lines"},
        {"", "banner {words:text}", "greeting"},
        {"", "plugin ra", "router advertisements", {}, {}, "ra"},
        {"ra", "aggregate {prefix:prefix6}", "where the ports' prefixes come from"},
        {"ra", "interval {seconds:int:1..1800}", "between two advertisements"},
        {"ra", "interface {name:word}", "one port's own settings", {}, {"name"}, "ra-interface"},
        {"ra", "ports {range:interfaces}", "ports that are served", {}, {"range"}},
        {"ra", "rdnss {address:address6} lifetime {seconds:int:0..9000}", "resolver", {}, {"address"}},
        {"ra-interface", "prefix {prefix:prefix6}", "instead of the aggregate's"},
        {"ra-interface", "description {words:text}", "for the reader"},
        {"", "plugin metadata", "boot metadata", {}, {}, "metadata"},
        {"metadata", "listen {endpoint:endpoint6}", "where to listen", {}, {"endpoint"}},
        {"metadata", "certificate {file:path}", "server certificate"},
        {"metadata", "address {address:ifaddress6}", "own address"},
    };
}

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
