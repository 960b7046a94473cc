// Operational commands: `show …`, `machine provision node-1`. A handler returns data; one writer (agent/core/shell)
// renders it as text or JSON, so `--json` always carries what the text shows.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/config.hpp"

namespace nett {

// What a caller may do. Higher includes lower.
enum class Role { kViewer, kOperator, kAdmin };
std::string_view to_string(Role role);

// One column of a table: the member of each object in the array, and its heading.
struct Column {
    std::string key;
    std::string title;
};

// What a command answers. `data` has documented, stable keys in snake_case. As text: an array of objects is a table of
// `columns`; an object is "key: value" lines; a string is itself. A non-empty `text` replaces the text rendering.
struct Output {
    boost::json::value data;
    std::vector<Column> columns = {};
    std::string text = {};
};

struct CommandCall {
    std::map<std::string, std::string, std::less<>> args;  // by argument name, canonical text
    std::string actor;                                     // who: "unix:root", "tls:ops@example"
    std::function<void(Output)> emit;                      // sends a part before the end (progress); loop thread
    // Whether the caller has gone or pressed Ctrl-C. A command runs to its end all the same, unless it asks this
    // between its waits; one that waits for long (`… follow`) first does co_await interruptible_waits(), and then an
    // interruption ends its wait with asio::error::operation_aborted.
    std::function<bool()> interrupted = [] { return false; };

    const std::string& arg(std::string_view name) const { return args.find(name)->second; }
};

// From here to the command's end an interruption cancels the operation that is awaited. Never around a change that must
// be finished.
Awaitable<void> interruptible_waits();

// Runs on the loop thread; long work awaits.
struct OpCommand {
    std::string pattern;  // the language of agent/sdk/config.hpp
    std::string help;
    std::vector<TokenHelp> tokens = {};
    Role role = Role::kViewer;
    std::function<Awaitable<Result<Output>>(CommandCall)> run;
};

}  // namespace nett
