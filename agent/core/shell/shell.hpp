// The shell behind nettsh: sessions with a mode and a candidate, dispatch of operational commands, completion.
//
// The command tree lives here, nettsh only carries lines. Loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/access/access.hpp"
#include "agent/core/config/candidate.hpp"
#include "agent/core/config/grammar.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/command.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// Mirrors nett.v1.ClientAction: what only the client can do.
struct ClientAction {
    enum class Kind { kSaveOutput, kSaveBackup, kSaveTechSupport, kTerminalLength, kMonitor };
    Kind kind = Kind::kSaveOutput;
    std::string file = {};  // on the client's machine
    bool artifacts = true;  // kSaveBackup
    unsigned length = 0;    // kTerminalLength
    std::string line = {};  // kMonitor; empty: no longer
};

// What one `show` command says, without secrets.
struct ShownCommand {
    std::string command;  // "show version"
    std::string text;
    std::string json;
};

// Mirrors nett.v1.ExecuteReply.
struct ShellReply {
    std::string output;  // text to print as it is, or one JSON document
    std::string error;   // not empty: the command failed
    std::string prompt;  // with done: the prompt after the line, "tor-a(config-ra)# "
    bool done = false;   // the last reply of a line
    bool exit = false;   // with done: the session was left
    std::optional<ClientAction> action = {};
};

// One entry of what `?` and Tab show.
struct Completion {
    std::string token;  // what would be inserted, or "<1-1800>"
    std::string help;
    bool insertable = false;  // false for an argument's placeholder
};

struct CompletionResult {
    std::vector<Completion> completions;
    bool complete = false;  // the line is a whole command already
};

// Live names for {x:word:@machines}: "machines" → a function that lists them.
using CompletionSources = std::map<std::string, std::function<std::vector<std::string>()>, std::less<>>;

struct ShellSettings {
    // Of the prompt; the configured one, else the system's.
    std::function<std::string()> hostname;
    CompletionSources sources = {};
    // Told of every line that needs more than the role viewer, and what became of it; with "commit", also of the
    // changes. Not redacted.
    std::function<void(const Caller&, std::string line, const Result<void>& result)> audit = {};
};

class Shell {
public:
    // References outlive the shell.
    Shell(const Grammar& grammar, ConfigManager& config, const Clock& clock, ShellSettings settings);
    ~Shell();
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    // Adds commands, as of the plugins after they were created. kInvalidArgument names a broken pattern, kAlreadyExists
    // one that is taken; then none of them was added.
    Result<void> add_commands(std::vector<OpCommand> commands);
    // Adds or replaces a source of live completions.
    void add_completion_source(std::string name, std::function<std::vector<std::string>()> source);

    // Runs one line of a session, which is made when it is new. `reply` is called one or more times, the last time with
    // `done`; also for errors. A session belongs to the actor that made it; another one's call is refused.
    // `interrupted` says whether the caller still wants it (CommandCall::interrupted); the cancellation of this
    // coroutine reaches only commands that allow it. `interactive`: the client can do what kMonitor asks for.
    Awaitable<void> execute(
        std::string session, Caller caller, std::string line, bool json, std::function<void(ShellReply)> reply,
        std::function<bool()> interrupted = [] { return false; }, bool interactive = false);

    // What could follow `line` (up to the cursor) in the session's mode.
    CompletionResult complete(const std::string& session, const Caller& caller, std::string_view line);

    // What every `show` command that needs no argument says, in the order of their names, secrets redacted. For whoever
    // is asked for help.
    Awaitable<std::vector<ShownCommand>> show_all(Caller caller);

    // Sessions now open.
    std::size_t session_count() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nett
