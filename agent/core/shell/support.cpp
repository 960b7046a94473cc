// Everything that can be shown, for whoever is asked for help.
#include <algorithm>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/core/shell/impl.hpp"
#include "agent/core/shell/redact.hpp"
#include "agent/core/shell/render.hpp"

namespace nett {

namespace json = boost::json;

namespace {

constexpr std::string_view kSelf = "show tech-support";
constexpr std::string_view kAlias = "show commits";  // of another one

bool is_plain_show(const ShellCommand& command) {
    const auto& tokens = command.pattern.tokens();
    return command.in_exec && tokens.size() > 1 && tokens.front().name == "show" &&
           std::all_of(tokens.begin(), tokens.end(), [](const auto& token) { return token.is_keyword(); }) &&
           command.pattern.id() != kSelf && command.pattern.id() != kAlias;
}

}  // namespace

Awaitable<std::vector<ShownCommand>> Shell::Impl::show_all(Caller caller) {
    CommandList list;
    for (const auto& command : commands) {
        if (is_plain_show(*command) && command->role <= caller.role) list.push_back(command);
    }
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a->pattern.id() < b->pattern.id(); });
    std::vector<ShownCommand> out;
    Session session{"tech-support", caller.actor, caller.role};
    for (const auto& command : list) {
        CommandCall made;
        made.actor = caller.actor;
        made.emit = [](const Output&) {};
        auto work = call(session, *command, std::move(made));
        const auto output = co_await std::move(work);
        ShownCommand shown{command->pattern.id(), {}, {}};
        shown.text = output ? redact_secrets(render_text(*output)) : "% " + output.error().to_string() + "\n";
        if (output) shown.json = redact_secrets(render_json(output->data));
        out.push_back(std::move(shown));
        // Others have their turns.
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
    co_return out;
}

Output support_output(const std::vector<ShownCommand>& shown) {
    Output output;
    json::array rows;
    for (const auto& one : shown) {
        output.text += fmt::format("------ {} ------\n{}\n", one.command, one.text);
        rows.push_back(json::object{{"command", one.command}, {"text", one.text}});
    }
    output.data = std::move(rows);
    return output;
}

}  // namespace nett
