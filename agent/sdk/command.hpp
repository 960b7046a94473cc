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

    const std::string& arg(std::string_view name) const { return args.find(name)->second; }
};

// Runs on the loop thread; long work awaits.
struct OpCommand {
    std::string pattern;  // the language of agent/sdk/config.hpp
    std::string help;
    std::vector<TokenHelp> tokens = {};
    Role role = Role::kViewer;
    std::function<Awaitable<Result<Output>>(CommandCall)> run;
};

}  // namespace nett
