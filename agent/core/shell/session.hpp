// Inside of agent/core/shell: what a session is, and the commands that it runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/core/config/candidate.hpp"
#include "agent/core/config/grammar.hpp"
#include "agent/core/shell/shell.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/command.hpp"

namespace nett {

// One user of the shell. Owned by the shell; a line that runs keeps it alive.
struct Session {
    std::string name;
    std::string actor;
    Role role = Role::kViewer;  // of the latest call
    SteadyTime last_used = {};
    bool configuring = false;  // in `configure terminal`
    NodePath path = {};        // entered nodes while configuring
    bool busy = false;         // a line runs
    bool left = false;         // `exit` or `logout`
};

// An operational or built-in command.
struct ShellCommand {
    Pattern pattern;
    Role role = Role::kViewer;
    bool in_exec = true;
    bool in_config = false;
    // Neither the session nor the command goes before the awaitable has ended.
    std::function<Awaitable<Result<Output>>(Session&, CommandCall)> run;
};

// configure, commit, show running-config, … `config` outlives them.
std::vector<ShellCommand> built_in_commands(ConfigManager& config);

// A pattern that may follow, and what holds when it is absent.
struct Candidate {
    const Pattern* pattern = nullptr;
    std::string default_text = {};
};

// What may follow `line`, which has no pipes.
CompletionResult complete_patterns(const std::vector<Candidate>& candidates, std::string_view line,
                                   const CompletionSources& sources);

}  // namespace nett
