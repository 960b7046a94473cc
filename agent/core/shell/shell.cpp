#include "agent/core/shell/shell.hpp"

#include <algorithm>

#include <boost/asio/this_coro.hpp>

#include "agent/core/shell/impl.hpp"
#include "agent/core/shell/render.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kLongestCompletedLine = 4096;

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

ShellCommand own_command(std::string_view pattern, std::string_view help,
                         std::function<Awaitable<Result<Output>>(Session&, CommandCall)> run) {
    ShellCommand command;
    command.pattern = Pattern::compile(pattern, {{"show", "Show state and configuration"}}, help).value();
    command.in_config = true;
    command.run = std::move(run);
    return command;
}

}  // namespace

Shell::Shell(const Grammar& grammar, ConfigManager& config, const Clock& clock, ShellSettings settings)
    : impl_(new Impl{grammar, config, clock, std::move(settings)}) {
    const auto add = [this](ShellCommand command) {
        impl_->commands.push_back(std::make_shared<const ShellCommand>(std::move(command)));
    };
    for (auto& command : built_in_commands(config)) add(std::move(command));
    for (auto& command : commit_commands(config)) add(std::move(command));
    for (auto& command : client_commands(config)) add(std::move(command));
    auto* const impl = impl_.get();
    add(own_command("help", "List the commands", [impl](Session& session, CommandCall) -> Awaitable<Result<Output>> {
        co_return impl->help(session);
    }));
    add(own_command("show tech-support", "Everything that \"show\" commands say, without secrets",
                    [impl](Session& session, CommandCall) -> Awaitable<Result<Output>> {
                        auto work = impl->show_all({session.actor, session.role});
                        const auto shown = co_await std::move(work);
                        co_return support_output(shown);
                    }));
    impl_->settings.sources.insert_or_assign("configuration-sections",
                                             [&config] { return configuration_sections(config.running()); });
}

Shell::~Shell() = default;

Result<void> Shell::add_commands(std::vector<OpCommand> commands) {
    CommandList made;
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
                               std::function<void(ShellReply)> reply, std::function<bool()> interrupted,
                               bool interactive) {
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
        held->interactive = interactive;
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
    if (line.size() > kLongestCompletedLine) return {};
    return impl_->complete(own ? *found->second : Session(), caller, line);
}

Awaitable<std::vector<ShownCommand>> Shell::show_all(Caller caller) {
    auto work = impl_->show_all(std::move(caller));
    co_return co_await std::move(work);
}

std::size_t Shell::session_count() const {
    return impl_->sessions.size();
}

}  // namespace nett
