// Inside of agent/core/shell: what a session is, and the commands that it runs.
#pragma once

#include <functional>
#include <optional>
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
    bool configuring = false;                 // in `configure terminal`
    NodePath path = {};                       // entered nodes while configuring
    bool busy = false;                        // a line runs
    bool left = false;                        // `exit` or `logout`
    bool interactive = false;                 // the latest line was typed at a prompt
    std::optional<ClientAction> action = {};  // what the command that runs wants of the client
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

// Where a command can be given.
enum class Where { kExec, kConfig, kBoth };
ShellCommand shell_command(std::string_view pattern, std::string_view help, std::vector<TokenHelp> tokens, Role role,
                           Where where, std::function<Awaitable<Result<Output>>(Session&, CommandCall)> run);
// A sentence, in JSON as "message".
Output said(std::string text);

// `config` outlives them all.
std::vector<ShellCommand> built_in_commands(ConfigManager& config);  // modes, the candidate, the configuration
std::vector<ShellCommand> commit_commands(ConfigManager& config);    // commit, rollback, their history
std::vector<ShellCommand> client_commands(ConfigManager& config);    // files and terminal of the client

// What of a configuration `show running-config SECTION` takes: the first words of its top lines, "plugin ra" as "ra".
std::vector<std::string> configuration_sections(const ConfigNode& root);
// All of `show tech-support` as one output.
Output support_output(const std::vector<ShownCommand>& shown);

// A pattern that may follow, and what holds when it is absent.
struct Candidate {
    const Pattern* pattern = nullptr;
    std::string default_text = {};
};

// What may follow `line`, which has no pipes.
CompletionResult complete_patterns(const std::vector<Candidate>& candidates, std::string_view line,
                                   const CompletionSources& sources);

}  // namespace nett
