#include "agent/core/host/agent_commands.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "agent/core/host/health_registry.hpp"
#include "agent/sdk/build_id.hpp"
#include "agent/sdk/log_history.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// A command whose answer is made at once.
template <typename Make>
std::function<Awaitable<Result<Output>>(CommandCall)> immediate(Make make) {
    return [make](CommandCall call) -> Awaitable<Result<Output>> { co_return make(call); };
}

Output show_version(const AgentCommandContext& context) {
    return {json::object{{"version", kVersion},
                         {"build_id", kBuildId},
                         {"hostname", context.hostname},
                         {"started", to_rfc3339(context.started)}}};
}

Output show_health(const AgentCommandContext& context) {
    json::array rows;
    for (const auto& condition : context.health.conditions()) {
        rows.push_back({{"component", condition.component},
                        {"name", condition.name},
                        {"state", to_string(condition.state)},
                        {"scope", to_string(condition.scope)},
                        {"since", to_rfc3339(condition.since)},
                        {"message", condition.message},
                        {"remedy", condition.remedy}});
    }
    return {std::move(rows),
            {{"component", "Component"},
             {"name", "Condition"},
             {"state", "State"},
             {"scope", "Scope"},
             {"since", "Since"},
             {"message", "Message"},
             {"remedy", "Remedy"}}};
}

Output show_plugins(const AgentCommandContext& context) {
    json::array rows;
    for (const auto& plugin : context.plugins.status()) {
        rows.push_back({{"name", plugin.name},
                        {"version", plugin.version},
                        {"state", plugin.state},
                        {"error", plugin.error},
                        {"detail", plugin.detail}});
    }
    return {std::move(rows), {{"name", "Plugin"}, {"version", "Version"}, {"state", "State"}, {"error", "Error"}}};
}

Output log_lines(std::size_t most) {
    const auto lines = recent_log_lines();
    json::array rows;
    std::string text;
    for (auto i = lines.size() - std::min(most, lines.size()); i < lines.size(); ++i) {
        const auto& line = lines[i];
        rows.push_back({{"time", to_rfc3339(line.time)}, {"component", line.component}, {"line", line.text}});
        text += fmt::format("{} {}\n", to_rfc3339(line.time), line.text);
    }
    return {std::move(rows), {}, text.empty() ? "! no log lines yet" : std::move(text)};
}

Output show_log(const AgentCommandContext&) {
    return log_lines(kLogHistory);
}

json::object to_json(const Event& event) {
    json::object fields;
    for (const auto& [key, value] : event.fields) fields[key] = value;
    return {{"sequence", event.sequence}, {"time", to_rfc3339(event.time)}, {"type", event.type},
            {"subject", event.subject},   {"message", event.message},       {"fields", std::move(fields)}};
}

Output show_events(const AgentCommandContext& context) {
    json::array rows;
    for (const auto& event : context.events.history()) {
        rows.push_back(to_json(event));
    }
    return {std::move(rows), {{"time", "Time"}, {"type", "Type"}, {"subject", "Subject"}, {"message", "Message"}}};
}

// Prints events as they happen, until the caller has had enough.
Awaitable<Result<Output>> monitor(LoopEventBus& events, CommandCall call) {
    co_await interruptible_waits();
    asio::steady_timer interruption(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    const auto print = [&call](const Event& event) {
        Output output;
        output.data = to_json(event);
        output.text = fmt::format("{} {} {}: {}\n", to_rfc3339(event.time), event.type, event.subject, event.message);
        call.emit(std::move(output));
    };
    const auto type = call.args.find("type");
    const auto subscription = events.subscribe(type == call.args.end() ? "" : type->second, print);
    boost::system::error_code ended;
    if (!call.interrupted()) co_await interruption.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    co_return Output();
}

}  // namespace

std::vector<std::string> event_types(const LoopEventBus& events) {
    std::set<std::string> types;
    for (const auto& event : events.history()) types.insert(event.type);
    return {types.begin(), types.end()};
}

std::vector<OpCommand> agent_commands(const AgentCommandContext& context) {
    const auto make = [&](const char* pattern, const char* help, Output (*show)(const AgentCommandContext&)) {
        return OpCommand{
            pattern, help, {{"show", "Show state"}}, Role::kViewer, immediate([context, show](const CommandCall&) {
                return show(context);
            })};
    };
    const auto watch = [&events = context.events](CommandCall call) { return monitor(events, std::move(call)); };
    return {make("show version", "Version, build and start of this agent", show_version),
            make("show health", "Conditions that the agent and its plugins report", show_health),
            make("show plugins", "Plugins and what they do", show_plugins),
            make("show events", "The last events, oldest first", show_events),
            make("show log", "The last log lines of this agent, oldest first", show_log),
            {fmt::format("show log {{lines:int:1..{}}}", kLogHistory),
             "Some log lines from the end",
             {{"show", "Show state"}, {"log", "Log lines"}, {"lines", "How many"}},
             Role::kViewer,
             immediate([](const CommandCall& call) -> Result<Output> {
                 const auto lines = parse_integer(call.arg("lines"), 1, static_cast<std::int64_t>(kLogHistory));
                 if (!lines) return fail(lines.error());
                 return log_lines(static_cast<std::size_t>(*lines));
             })},
            {"terminal monitor",
             "Print events as they happen; at a prompt, above it, until \"no terminal monitor\"",
             {{"terminal", "What this session prints"}},
             Role::kViewer,
             watch},
            {"terminal monitor {type:word:@event-types}",
             "Print one family of events as they happen",
             {{"terminal", "What this session prints"}, {"type", "How their type begins, such as machine or anycast."}},
             Role::kViewer,
             watch}};
}

}  // namespace nett
