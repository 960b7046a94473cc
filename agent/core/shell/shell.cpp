#include "agent/core/shell/shell.hpp"

#include <algorithm>
#include <exception>

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/system/system_error.hpp>

#include "agent/core/config/edit.hpp"
#include "agent/core/config/match.hpp"
#include "agent/core/shell/pipe.hpp"
#include "agent/core/shell/render.hpp"
#include "agent/core/shell/session.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace json = boost::json;

constexpr auto kIdleTime = std::chrono::hours(1);  // nett.proto promises it
constexpr std::size_t kMostSessions = 128;         // the longest idle one makes room
constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kLongestSessionName = 128;

// Where the output of one line goes. Shared, because a command may keep its `emit` longer than it should.
class Sink {
public:
    Sink(Pipe pipe, bool json, std::function<void(ShellReply)> reply)
        : pipe_(std::move(pipe)), json_(json || pipe_.json()), reply_(std::move(reply)) {}

    void write(const Output& output) {
        if (closed_) return;
        if (!json_) return send(pipe_.feed(render_text(output)));
        if (output.data.is_null() && output.text.empty()) return;
        send(pipe_.feed(render_json(output.data.is_null() ? json::value(output.text) : output.data)));
    }
    void finish() {
        send(pipe_.finish());
        closed_ = true;
    }
    void close() { closed_ = true; }

private:
    void send(std::string text) {
        if (text.empty()) return;
        ShellReply reply;
        reply.output = std::move(text);
        reply_(std::move(reply));
    }

    Pipe pipe_;
    bool json_;
    std::function<void(ShellReply)> reply_;
    bool closed_ = false;
};

// Marks the session as busy while a line runs.
class Busy {
public:
    explicit Busy(Session& session) : session_(session) { session_.busy = true; }
    ~Busy() { session_.busy = false; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

private:
    Session& session_;
};

std::string_view first_word(std::string_view line) {
    return line.substr(0, line.find_first_of(" \t"));
}

// "do show x" → "show x".
std::string_view behind_word(std::string_view line) {
    const auto word = first_word(line);
    const auto rest = line.substr(word.size());
    const auto begin = rest.find_first_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view() : rest.substr(begin);
}

}  // namespace

struct Shell::Impl {
    const Grammar& grammar;
    ConfigManager& config;
    const Clock& clock;
    ShellSettings settings;
    std::vector<std::shared_ptr<const ShellCommand>> commands = {};
    std::map<std::string, std::shared_ptr<Session>> sessions = {};

    void forget_session(const std::string& name) {
        config.discard(name);
        sessions.erase(name);
    }

    void forget_idle_sessions() {
        const auto now = clock.steady_now();
        std::vector<std::string> idle;
        for (const auto& [name, session] : sessions) {
            if (!session->busy && now - session->last_used > kIdleTime) idle.push_back(name);
        }
        for (const auto& name : idle) forget_session(name);
    }

    // Drops the longest idle session; false when all are busy.
    bool make_room() {
        const auto older = [](const auto& a, const auto& b) {
            if (a.second->busy != b.second->busy) return !a.second->busy;
            return a.second->last_used < b.second->last_used;
        };
        const auto oldest = std::min_element(sessions.begin(), sessions.end(), older);
        if (oldest->second->busy) return false;
        forget_session(std::string(oldest->first));
        return true;
    }

    Result<std::shared_ptr<Session>> open_session(const std::string& name, const Caller& caller) {
        forget_idle_sessions();
        if (name.empty() || name.size() > kLongestSessionName) {
            return fail(Code::kInvalidArgument, "a session is named by 1 to {} bytes", kLongestSessionName);
        }
        auto found = sessions.find(name);
        if (found == sessions.end()) {
            if (sessions.size() >= kMostSessions && !make_room()) {
                return fail(Code::kResourceExhausted, "all {} sessions are busy; try again later", kMostSessions);
            }
            found = sessions.emplace(name, std::make_shared<Session>(Session{name, caller.actor})).first;
        }
        if (found->second->actor != caller.actor) {
            return fail(Code::kPermissionDenied, "this session belongs to {}", found->second->actor);
        }
        if (found->second->busy)
            return fail(Code::kAborted, "this session is still running another line; wait for it, or open another one");
        found->second->role = caller.role;
        found->second->last_used = clock.steady_now();
        return found->second;
    }

    std::string prompt(const Session& session, const Caller& caller) const {
        const char sign = caller.role == Role::kAdmin ? '#' : '>';
        const auto host = settings.hostname ? settings.hostname() : std::string("nett");
        if (!session.configuring) return fmt::format("{}{} ", host, sign);
        return fmt::format("{}(config{}){} ", host, session.path.empty() ? "" : "-" + session.path.back().node, sign);
    }

    // The commands of a mode. While configuring, `show …` works as it does outside.
    std::vector<std::shared_ptr<const ShellCommand>> available(bool configuring) const {
        std::vector<std::shared_ptr<const ShellCommand>> out;
        for (const auto& command : commands) {
            const bool show = command->in_exec && command->pattern.tokens().front().name == "show";
            if (configuring ? command->in_config || show : command->in_exec) out.push_back(command);
        }
        return out;
    }

    // The commands whose first keyword is exactly the first word of the line.
    bool is_shell_word(std::string_view word) const {
        const auto list = available(true);
        return std::any_of(list.begin(), list.end(),
                           [&](const auto& c) { return c->pattern.tokens().front().name == word; });
    }

    MatchOutcome match(const std::vector<std::shared_ptr<const ShellCommand>>& list, std::string_view line) const {
        std::vector<const Pattern*> patterns;
        for (const auto& command : list) patterns.push_back(&command->pattern);
        auto words = split_words(line);
        if (words) return match_line(patterns, line, *words, MatchMode::kAbbreviations);
        MatchOutcome outcome;
        outcome.mismatch.message = words.error().to_string();
        return outcome;
    }

    void note(const Caller& caller, std::string line, const Result<void>& result) const {
        if (settings.audit) settings.audit(caller, std::move(line), result);
    }

    // Runs an operational or built-in command of the mode.
    Awaitable<Result<void>> run_command(Session& session, Caller caller, std::string line, bool configuring, bool json,
                                        std::function<void(ShellReply)> reply, std::function<bool()> interrupted) {
        auto piped = split_pipes(line);
        if (!piped) co_return fail(std::move(piped.error()));
        auto pipe = Pipe::make(piped->stages);
        if (!pipe) co_return fail(std::move(pipe.error()));
        const auto list = available(configuring);
        auto outcome = match(list, piped->command);
        if (!outcome.match) co_return fail(Code::kInvalidArgument, "{}", outcome.mismatch.message);
        const auto& command = list[outcome.match->index];
        if (caller.role < command->role) {
            auto denied = fail(Code::kPermissionDenied, "\"{}\" needs the role {}; {} is {}", command->pattern.id(),
                               to_string(command->role), caller.actor, to_string(caller.role));
            note(caller, piped->command, Result<void>(denied));
            co_return denied;
        }
        const bool commits = command->pattern.id().starts_with("commit");
        const std::string said = commits ? piped->command + "\n" + config.show_diff(session.name) : piped->command;
        const auto sink = std::make_shared<Sink>(std::move(*pipe), json, std::move(reply));
        CommandCall call;
        call.args = std::move(outcome.match->args);
        call.actor = caller.actor;
        call.emit = [sink](Output part) { sink->write(part); };
        call.interrupted = std::move(interrupted);
        Result<Output> output;
        try {
            auto work = command->run(session, std::move(call));
            output = co_await std::move(work);
        } catch (const boost::system::system_error& error) {
            output = error.code() == asio::error::operation_aborted
                         ? Result<Output>(fail(Code::kAborted, "interrupted"))
                         : fail(Code::kInternal, "the command failed unexpectedly: {}", error.what());
        } catch (const std::exception& error) {
            output = fail(Code::kInternal, "the command failed unexpectedly: {}", error.what());
        }
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        if (command->role > Role::kViewer) {
            note(caller, said, output ? Result<void>() : Result<void>(fail(Error(output.error()))));
        }
        if (output) {
            sink->write(*output);
            sink->finish();
            co_return Result<void>();
        }
        sink->close();
        co_return fail(std::move(output.error()));
    }

    // A line typed while configuring that does not begin with a word of the shell itself.
    Result<void> configure(Session& session, std::string_view line) {
        return apply_line(grammar, config.candidate(session.name), session.path, line);
    }

    Awaitable<Result<void>> run_line(Session& session, Caller caller, std::string line, bool json,
                                     std::function<void(ShellReply)> reply, std::function<bool()> interrupted) {
        if (line.size() > kLongestLine) {
            co_return fail(Code::kInvalidArgument, "the line is longer than {} bytes", kLongestLine);
        }
        if (line.empty() || line.front() == '!' || line.front() == '#') co_return Result<void>();
        NETT_CO_TRY(check_plain_text(line));
        if (session.configuring && first_word(line) == "do") {
            auto work = run_command(session, caller, std::string(behind_word(line)), false, json, std::move(reply),
                                    std::move(interrupted));
            co_return co_await std::move(work);
        }
        if (session.configuring && !is_shell_word(first_word(line))) {
            if (caller.role != Role::kAdmin)
                co_return fail(Code::kPermissionDenied, "configuring needs the role admin");
            auto configured = configure(session, line);
            // Perhaps a word of the shell, abbreviated.
            const auto piped = split_pipes(line);
            const auto outcome = match(available(true), piped ? piped->command : line);
            const bool shell_command = outcome.match || outcome.mismatch.progress > 0;
            if (configured || configured.error().code != Code::kInvalidArgument || !shell_command) co_return configured;
        }
        auto work =
            run_command(session, caller, line, session.configuring, json, std::move(reply), std::move(interrupted));
        co_return co_await std::move(work);
    }

    std::vector<Candidate> exec_candidates(bool configuring, Role role) const {
        std::vector<Candidate> out;
        for (const auto& command : available(configuring)) {
            if (command->role <= role) out.push_back({&command->pattern});
        }
        return out;
    }

    // The configuration commands of the session's node, or of an outer one: `depth` nodes stay entered.
    std::vector<Candidate> config_candidates(const Session& session, std::size_t depth) const {
        std::vector<Candidate> out;
        for (const auto* command : grammar.in_node(depth == 0 ? "" : session.path[depth - 1].node)) {
            out.push_back({&command->pattern, command->spec.default_text});
        }
        return out;
    }

    CompletionResult complete(const Session& session, const Caller& caller, std::string_view line) const {
        const auto begin = line.find_first_not_of(" \t");
        line = begin == std::string_view::npos ? std::string_view() : line.substr(begin);
        const bool second_word = line.size() > first_word(line).size();
        if (!session.configuring) return complete_piped(exec_candidates(false, caller.role), line);
        if (second_word && first_word(line) == "do") {
            return complete_piped(exec_candidates(false, caller.role), behind_word(line));
        }
        CompletionResult result;
        // An outer node's commands show up only where the inner one has none.
        for (auto depth = session.path.size() + 1; depth-- > 0 && result.completions.empty() && !result.complete;) {
            result = second_word && first_word(line) == "no" ? complete_removal(session, depth, behind_word(line))
                                                             : complete_setting(session, caller, depth, line);
        }
        return result;
    }

    CompletionResult complete_setting(const Session& session, const Caller& caller, std::size_t depth,
                                      std::string_view line) const {
        static const Pattern kDo =
            Pattern::compile("do {line:text}", {}, "Run a command as outside of the configuration").value();
        static const Pattern kNo = Pattern::compile("no {line:text}", {}, "Remove a line of the configuration").value();
        auto candidates = config_candidates(session, depth);
        for (auto& candidate : exec_candidates(true, caller.role)) candidates.push_back(std::move(candidate));
        candidates.push_back({&kDo});
        candidates.push_back({&kNo});
        return complete_piped(candidates, line);
    }

    // Behind `no`: the values that are not keys may be left out.
    CompletionResult complete_removal(const Session& session, std::size_t depth, std::string_view line) const {
        auto result = complete_patterns(config_candidates(session, depth), line, settings.sources);
        std::vector<std::string> nodes;
        for (std::size_t i = 0; i < depth; ++i) nodes.push_back(session.path[i].node);
        const auto placed = place_removal(grammar, nodes, trim(line), MatchMode::kAbbreviations);
        result.complete = placed.placement && placed.placement->depth == depth;
        return result;
    }

    CompletionResult complete_piped(const std::vector<Candidate>& candidates, std::string_view line) const {
        const auto piped = split_pipes(line);
        if (!piped || !piped->piped) return complete_patterns(candidates, line, settings.sources);
        std::vector<Candidate> stages;
        for (const auto& pattern : pipe_patterns()) stages.push_back({&pattern});
        const bool open_end = line.ends_with(' ');
        const auto& last = piped->stages.back();
        return complete_patterns(stages, open_end && !last.empty() ? last + " " : last, settings.sources);
    }

    // `help`: all commands of the mode.
    Output help(const Session& session) const {
        json::array rows;
        const auto add = [&](const Pattern& pattern) {
            rows.push_back(json::object{{"command", pattern.usage()}, {"help", pattern.help()}});
        };
        if (session.configuring) {
            for (const auto& candidate : config_candidates(session, session.path.size())) add(*candidate.pattern);
        }
        for (const auto& candidate : exec_candidates(session.configuring, session.role)) add(*candidate.pattern);
        Output output;
        output.data = std::move(rows);
        output.columns = {{"command", "Command"}, {"help", "Help"}};
        return output;
    }
};

Shell::Shell(const Grammar& grammar, ConfigManager& config, const Clock& clock, ShellSettings settings)
    : impl_(new Impl{grammar, config, clock, std::move(settings)}) {
    for (auto& command : built_in_commands(config)) {
        impl_->commands.push_back(std::make_shared<const ShellCommand>(std::move(command)));
    }
    ShellCommand help;
    help.pattern = Pattern::compile("help", {}, "List the commands").value();
    help.in_config = true;
    help.run = [impl = impl_.get()](Session& session, CommandCall) -> Awaitable<Result<Output>> {
        co_return impl->help(session);
    };
    impl_->commands.push_back(std::make_shared<const ShellCommand>(std::move(help)));
}

Shell::~Shell() = default;

Result<void> Shell::add_commands(std::vector<OpCommand> commands) {
    std::vector<std::shared_ptr<const ShellCommand>> made;
    for (auto& command : commands) {
        auto pattern = Pattern::compile(command.pattern, command.tokens, command.help);
        if (!pattern) return fail(std::move(pattern.error()).in(fmt::format("command \"{}\"", command.pattern)));
        const auto same = [&](const auto& other) {
            return other->in_exec && other->pattern.usage() == pattern->usage();
        };
        if (std::any_of(impl_->commands.begin(), impl_->commands.end(), same) ||
            std::any_of(made.begin(), made.end(), same)) {
            return fail(Code::kAlreadyExists, "command \"{}\" is taken", command.pattern);
        }
        ShellCommand shell_command;
        shell_command.pattern = std::move(*pattern);
        shell_command.role = command.role;
        shell_command.run = [run = std::move(command.run)](Session&, CommandCall call) { return run(std::move(call)); };
        made.push_back(std::make_shared<const ShellCommand>(std::move(shell_command)));
    }
    impl_->commands.insert(impl_->commands.end(), made.begin(), made.end());
    return {};
}

void Shell::add_completion_source(std::string name, std::function<std::vector<std::string>()> source) {
    impl_->settings.sources.insert_or_assign(std::move(name), std::move(source));
}

Awaitable<void> Shell::execute(std::string session, Caller caller, std::string line, bool json,
                               std::function<void(ShellReply)> reply, std::function<bool()> interrupted) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    ShellReply last;
    last.done = true;
    auto opened = impl_->open_session(session, caller);
    if (!opened) {
        last.error = opened.error().to_string();
        reply(std::move(last));
        co_return;
    }
    const auto held = *opened;
    {
        const Busy busy(*held);
        auto work = impl_->run_line(*held, caller, std::string(trim(line)), json, reply, std::move(interrupted));
        const auto outcome = co_await std::move(work);
        if (!outcome) last.error = printable(outcome.error().to_string());
    }
    held->last_used = impl_->clock.steady_now();
    last.prompt = impl_->prompt(*held, caller);
    last.exit = held->left;
    if (held->left) impl_->forget_session(session);
    reply(std::move(last));
}

CompletionResult Shell::complete(const std::string& session, const Caller& caller, std::string_view line) {
    const auto found = impl_->sessions.find(session);
    const bool own = found != impl_->sessions.end() && found->second->actor == caller.actor;
    if (line.size() > kLongestLine) return {};
    return impl_->complete(own ? *found->second : Session(), caller, line);
}

std::size_t Shell::session_count() const {
    return impl_->sessions.size();
}

}  // namespace nett
