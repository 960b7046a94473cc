// Inside of agent/core/shell: the parts of Shell. shell.cpp has the interface, sessions.cpp who is here, dispatch.cpp
// runs lines, modes.cpp says what can be typed where.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/config/match.hpp"
#include "agent/core/shell/pipe.hpp"
#include "agent/core/shell/session.hpp"
#include "agent/core/shell/shell.hpp"

namespace nett {

using CommandList = std::vector<std::shared_ptr<const ShellCommand>>;

struct Shell::Impl {
    const Grammar& grammar;
    ConfigManager& config;
    const Clock& clock;
    ShellSettings settings;
    CommandList commands = {};
    std::map<std::string, std::shared_ptr<Session>> sessions = {};

    // ---- sessions.cpp
    // The session of that name, made when it is new. kPermissionDenied: it is somebody else's; kAborted: it runs a
    // line.
    Result<std::shared_ptr<Session>> open_session(const std::string& name, const Caller& caller);
    void forget_session(const std::string& name);
    void forget_idle_sessions();
    // Drops the longest idle session; false when all are busy.
    bool make_room();

    // ---- modes.cpp
    std::string prompt(const Session& session, const Caller& caller) const;
    // The commands of a mode. While configuring, `show …` works as it does outside.
    CommandList available(bool configuring) const;
    // One of them begins with exactly this word.
    bool is_shell_word(std::string_view word) const;
    MatchOutcome match(const CommandList& list, std::string_view line) const;
    std::vector<Candidate> exec_candidates(bool configuring, Role role) const;
    // The configuration commands of the session's node, or of an outer one: `depth` nodes stay entered.
    std::vector<Candidate> config_candidates(const Session& session, std::size_t depth) const;
    CompletionResult complete(const Session& session, const Caller& caller, std::string_view line) const;
    CompletionResult complete_setting(const Session& session, const Caller& caller, std::size_t depth,
                                      std::string_view line) const;
    CompletionResult complete_removal(const Session& session, std::size_t depth, std::string_view line) const;
    CompletionResult complete_piped(const std::vector<Candidate>& candidates, std::string_view line) const;
    // `help`: all commands of the mode.
    Output help(const Session& session) const;

    // ---- dispatch.cpp
    Awaitable<Result<void>> run_line(Session& session, Caller caller, std::string line, bool json,
                                     std::function<void(ShellReply)> reply, std::function<bool()> interrupted);
    // Runs an operational or built-in command of the mode.
    Awaitable<Result<void>> run_command(Session& session, Caller caller, std::string line, bool configuring, bool json,
                                        std::function<void(ShellReply)> reply, std::function<bool()> interrupted);
    // Tells the audit log, when there is one.
    void note(const Caller& caller, std::string line, const Result<void>& result) const;
    // What a command answers; its exceptions are errors.
    Awaitable<Result<Output>> call(Session& session, const ShellCommand& command, CommandCall call) const;

    // ---- support.cpp
    Awaitable<std::vector<ShownCommand>> show_all(Caller caller);
};

// "do show x" → "do", "show x".
std::string_view first_word(std::string_view line);
std::string_view behind_word(std::string_view line);

}  // namespace nett
