// One line: which command it is, who may run it, where its output goes.
#include <exception>

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/value.hpp>
#include <boost/system/system_error.hpp>

#include "agent/core/shell/impl.hpp"
#include "agent/core/shell/render.hpp"

namespace nett {

namespace {

namespace json = boost::json;

constexpr std::size_t kLongestLine = 4096;
constexpr std::string_view kMonitor = "terminal monitor";

// Where the output of one line goes. Shared, because a command may keep its `emit` longer than it should.
class Sink {
public:
    Sink(Pipe pipe, bool json, std::function<void(ShellReply)> reply)
        : pipe_(std::move(pipe)), json_(json || pipe_.json()), reply_(std::move(reply)) {}

    void act(ClientAction action) {
        ShellReply reply;
        reply.action = std::move(action);
        reply_(std::move(reply));
    }
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

}  // namespace

void Shell::Impl::note(const Caller& caller, std::string line, const Result<void>& result) const {
    if (settings.audit) settings.audit(caller, std::move(line), result);
}

Awaitable<Result<Output>> Shell::Impl::call(Session& session, const ShellCommand& command, CommandCall call) const {
    Result<Output> output;
    try {
        auto work = command.run(session, std::move(call));
        output = co_await std::move(work);
    } catch (const boost::system::system_error& error) {
        output = error.code() == asio::error::operation_aborted
                     ? Result<Output>(fail(Code::kAborted, "interrupted"))
                     : fail(Code::kInternal, "the command failed unexpectedly: {}", error.what());
    } catch (const std::exception& error) {
        output = fail(Code::kInternal, "the command failed unexpectedly: {}", error.what());
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_return output;
}

Awaitable<Result<void>> Shell::Impl::run_command(Session& session, Caller caller, std::string line, bool configuring,
                                                 bool json, std::function<void(ShellReply)> reply,
                                                 std::function<bool()> interrupted) {
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
    // It never ends, so at a prompt it goes on beside what is typed next.
    if (session.interactive && command->pattern.id().starts_with(kMonitor)) {
        ShellReply beside;
        beside.action = ClientAction{ClientAction::Kind::kMonitor, {}, true, 0, line};
        reply(std::move(beside));
        co_return Result<void>();
    }
    const bool commits = command->pattern.id().starts_with("commit");
    const std::string said = commits ? piped->command + "\n" + config.show_diff(session.name) : piped->command;
    const auto sink = std::make_shared<Sink>(std::move(*pipe), json, std::move(reply));
    CommandCall made;
    made.args = std::move(outcome.match->args);
    made.actor = caller.actor;
    made.emit = [sink](Output part) { sink->write(part); };
    made.interrupted = std::move(interrupted);
    session.action.reset();
    auto work = call(session, *command, std::move(made));
    const auto output = co_await std::move(work);
    if (command->role > Role::kViewer) {
        note(caller, said, output ? Result<void>() : Result<void>(fail(Error(output.error()))));
    }
    if (output) {
        // Before the output: it may say where that goes.
        if (session.action) sink->act(std::move(*session.action));
        sink->write(*output);
        sink->finish();
        co_return Result<void>();
    }
    sink->close();
    co_return fail(output.error());
}

Awaitable<Result<void>> Shell::Impl::run_line(Session& session, Caller caller, std::string line, bool json,
                                              std::function<void(ShellReply)> reply,
                                              std::function<bool()> interrupted) {
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
        // Its role may have been taken away since it began to configure.
        if (caller.role != Role::kAdmin) {
            auto denied = fail(Code::kPermissionDenied, "configuring needs the role admin; {} is {}", caller.actor,
                               to_string(caller.role));
            note(caller, line, Result<void>(denied));
            co_return denied;
        }
        auto configured = apply_line(grammar, config.candidate(session.name), session.path, line);
        // Perhaps a word of the shell, abbreviated.
        const auto piped = split_pipes(line);
        const auto outcome = match(available(true), piped ? piped->command : line);
        const bool shell_command = outcome.match || outcome.mismatch.progress > 0;
        if (configured || configured.error().code != Code::kInvalidArgument || !shell_command) co_return configured;
    }
    auto work = run_command(session, caller, line, session.configuring, json, std::move(reply), std::move(interrupted));
    co_return co_await std::move(work);
}

}  // namespace nett
