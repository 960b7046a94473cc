#include "agent/core/inventory/job_commands.hpp"

#include <deque>

#include <fmt/format.h>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "agent/core/inventory/commands.hpp"
#include "agent/core/inventory/job_types.hpp"
#include "agent/sdk/job_image.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// Commands are coroutines of free functions: a lambda's captures would have to outlive its coroutine.
using Answer = Awaitable<Result<Output>>;

constexpr const char* kNeedsOperator = "NEEDS_OPERATOR";

std::string text_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains({name.data(), name.size()});
    const auto* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

bool is_at_rest(const Job& job) {
    return is_ended(job) || job.state == kNeedsOperator;
}

// ---- Progress, as the plugins store it: history [{step, since}], last_request, last_response, result ----

const json::object* progress_of(const json::object& job) {
    const auto* progress = job.if_contains("progress");
    return progress == nullptr ? nullptr : progress->if_object();
}

std::string seconds_between(std::string_view from, std::string_view to) {
    const auto begin = parse_rfc3339(from);
    const auto end = parse_rfc3339(to);
    if (!begin || !end) return {};
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(*end - *begin).count();
    return fmt::format("{:.1f} s", static_cast<double>(milliseconds) / 1000.0);
}

std::string step_lines(const json::object& progress, std::string_view updated) {
    const auto* history = progress.if_contains("history");
    const auto* steps = history == nullptr ? nullptr : history->if_array();
    if (steps == nullptr) return {};
    std::string text;
    for (std::size_t i = 0; i < steps->size(); ++i) {
        const auto* step = (*steps)[i].if_object();
        if (step == nullptr) continue;
        const auto* next = i + 1 < steps->size() ? (*steps)[i + 1].if_object() : nullptr;
        const auto end = next == nullptr ? std::string(updated) : text_of(*next, "since");
        text += fmt::format("  {:<14}  {}  {}\n", text_of(*step, "step"), text_of(*step, "since"),
                            seconds_between(text_of(*step, "since"), end));
    }
    return text;
}

std::string result_lines(const json::object& progress) {
    const auto* result = progress.if_contains("result");
    const auto* found = result == nullptr ? nullptr : result->if_object();
    if (found == nullptr || found->empty()) return {};
    std::string text = "found\n";
    for (const auto& member : *found) {
        const auto value = member.value().is_string() ? text_of(*found, member.key()) : json::serialize(member.value());
        text += fmt::format("  {:<14}  {}\n", std::string_view(member.key()), value);
    }
    return text;
}

std::string job_text(const Stored<Job>& stored) {
    const Job& job = stored.value;
    const auto data = public_json(stored);
    std::string text = fmt::format("job {}  {} {}  {}{}\n", job.id, job.type, job.machine, job.state,
                                   job.cancel_requested && !is_ended(job) ? "  (cancellation asked for)" : "");
    if (!job.message.empty()) text += fmt::format("  {}\n", job.message);
    text += fmt::format("created {}  updated {}\n", to_rfc3339(job.created), to_rfc3339(job.updated));
    const auto* parameters = data.if_contains("parameters");
    if (parameters != nullptr && parameters->is_object()) {
        for (const auto& member : parameters->get_object()) {
            text +=
                fmt::format("{} {}\n", std::string_view(member.key()), text_of(parameters->get_object(), member.key()));
        }
    }
    const auto* progress = progress_of(data);
    if (progress == nullptr) return text;
    if (const auto profile = text_of(*progress, "profile"); !profile.empty()) text += "profile " + profile + "\n";
    text += "steps\n" + step_lines(*progress, to_rfc3339(job.updated)) + result_lines(*progress);
    const auto request = text_of(*progress, "last_request");
    if (!request.empty())
        text += fmt::format("last request   {}\nlast response  {}\n", request, text_of(*progress, "last_response"));
    return text;
}

Output job_output(const Stored<Job>& job) {
    return {public_json(job), {}, job_text(job)};
}

// ---- Following ----

// One line for each change of a job's state.
class Follower {
public:
    explicit Follower(std::function<void(Output)> emit) : emit_(std::move(emit)) {}

    void show(const Stored<Job>& stored) {
        const Job& job = stored.value;
        if (job.state == state_ && job.message == message_) return;
        state_ = job.state;
        message_ = job.message;
        Output output;
        json::object line{{"id", job.id},
                          {"machine", job.machine},
                          {"state", job.state},
                          {"message", job.message},
                          {"updated", to_rfc3339(job.updated)}};
        const auto data = public_json(stored);
        std::string last;
        if (const auto* progress = progress_of(data)) {
            line["last_request"] = text_of(*progress, "last_request");
            line["last_response"] = text_of(*progress, "last_response");
            last = text_of(*progress, "last_request");
            if (!last.empty()) last = "  " + last + " → " + text_of(*progress, "last_response");
        }
        output.text = fmt::format("{}  job {}  {}{}{}\n", to_rfc3339(job.updated), job.id, job.state,
                                  job.message.empty() ? "" : ": " + job.message, is_at_rest(job) ? "" : last);
        output.data = std::move(line);
        emit_(std::move(output));
    }

private:
    std::function<void(Output)> emit_;
    std::string state_;
    std::string message_;
};

// Until the job is at rest, or the caller has had enough.
Answer follow(Inventory& inventory, Store& store, std::string id, CommandCall call) {
    co_await interruptible_waits();
    asio::steady_timer changed(co_await asio::this_coro::executor);
    std::deque<Stored<Job>> changes;
    const auto subscription = store.watch(std::string(kJobKind), [&](const Change& change) {
        if (change.key != job_key(id)) return;
        auto job = change.value ? decode<Job>(*change.value) : Result<Job>(fail(Code::kNotFound, "deleted"));
        if (job) changes.push_back({std::move(*job), change.revision});
        changed.cancel();
    });
    auto now = inventory.job(id);
    if (!now) co_return fail(now.error());
    Follower follower(call.emit);
    follower.show(*now);
    bool at_rest = is_at_rest(now->value);
    while (!at_rest && !call.interrupted()) {
        if (changes.empty()) {
            changed.expires_at(asio::steady_timer::time_point::max());
            boost::system::error_code ended;
            co_await changed.async_wait(asio::redirect_error(asio::use_awaitable, ended));
        }
        while (!changes.empty()) {
            follower.show(changes.front());
            at_rest = is_at_rest(changes.front().value);
            changes.pop_front();
        }
    }
    const auto last = inventory.job(id);
    if (!at_rest || !last || last->value.state == "DONE") co_return Output();
    co_return fail(Code::kFailedPrecondition, "job {} is {}: {}", id, last->value.state, last->value.message);
}

// ---- Commands ----

// As plugin redfish stores it; empty: nothing yet.
json::object bmc_status(const Store& store, const std::string& name) {
    const auto record = store.get("bmc-status", name);
    if (!record || !*record) return {};
    json::error_code error;
    auto value = json::parse((*record)->value, error);
    return error || !value.is_object() ? json::object() : std::move(value.get_object());
}

// The registration, and what the jobs learnt since.
Answer show_bmc(Inventory& inventory, Store& store) {
    const auto bmcs = inventory.bmcs();
    if (!bmcs) co_return fail(bmcs.error());
    json::array rows;
    for (const auto& bmc : *bmcs) {
        auto row = public_json(bmc);
        const auto status = bmc_status(store, bmc.value.name);
        for (const auto* name : {"site", "profile", "state", "model", "firmware", "last_job", "seen"}) {
            const auto* value = status.if_contains(name);
            row[name] = value == nullptr ? json::value("") : *value;
        }
        rows.push_back(std::move(row));
    }
    co_return Output{std::move(rows),
                     {{"name", "Name"},
                      {"endpoint", "Endpoint"},
                      {"site", "Site"},
                      {"profile", "Profile"},
                      {"trust", "Trust"},
                      {"state", "State"},
                      {"model", "Model"},
                      {"firmware", "Firmware"},
                      {"last_job", "Last job"}}};
}

Answer show_job(Inventory& inventory, CommandCall call) {
    const auto job = inventory.job(call.arg("id"));
    if (!job) co_return fail(job.error());
    co_return job_output(*job);
}

Answer cancel(Inventory& inventory, CommandCall call) {
    const auto id = call.arg("id");
    By by{call.actor, {}};
    const auto revision = co_await inventory.cancel_job(id, std::move(by));
    if (!revision) co_return fail(revision.error());
    const auto text = fmt::format("job {} is asked to stop", id);
    co_return Output{json::object{{"message", text}, {"revision", *revision}}, {}, text + "\n"};
}

struct Wanted {
    std::string type;
    bool follows = false;
};

Answer create(Inventory& inventory, Store& store, Wanted wanted, CommandCall call) {
    std::map<std::string, std::string> parameters;
    for (const auto* name : {"action", "target", "enabled", kJobImageUrl}) {
        if (const auto given = call.args.find(std::string_view(name)); given != call.args.end()) {
            parameters[name] = given->second;
        }
    }
    By by{call.actor, {}};
    auto work = inventory.create_job(wanted.type, call.arg("name"), std::move(parameters), std::move(by));
    const auto job = co_await std::move(work);
    if (!job) co_return fail(job.error());
    if (wanted.follows) {
        auto following = follow(inventory, store, job->id, std::move(call));
        co_return co_await std::move(following);
    }
    json::object data{{"id", job->id}, {"machine", job->machine}, {"state", job->state}};
    co_return Output{
        std::move(data), {}, fmt::format("job {}; \"show job {} --follow\" follows it\n", job->id, job->id)};
}

// A type's commands: what stands behind "machine TYPE NAME".
struct Form {
    const char* type;
    const char* rest;
    const char* help;
};
constexpr Form kForms[] = {
    {"provision", "", "Boot a machine from the image through its BMC"},
    {"provision", " image-url {image-url:word}", "Boot a machine from another image than the configured one"},
    {"power", " {action:choice:on|off|cycle|reset}", "Power a machine on or off, or reset it"},
    {"media", " {action:choice:insert|eject}", "Insert the image as a machine's virtual CD, or eject what is there"},
    {"media", " {action:choice:insert} image-url {image-url:word}", "Insert another image than the configured one"},
    {"boot", " {action:choice:set|clear}", "Boot a machine from its virtual CD once, or as it is set up"},
    {"boot", " {action:choice:set} {target:word}", "Boot a machine from something else once"},
    {"boot", " {action:choice:set} {target:word} {enabled:choice:once|continuous}", "Boot a machine from something"},
    {"inventory", "", "Take UUID, serial and MAC addresses from a machine's BMC, or find what differs"},
    {"check", "", "Find out what a machine's BMC can do, and change nothing"},
};

void add_forms(std::vector<OpCommand>& commands, Inventory& inventory, Store& store) {
    const std::vector<TokenHelp> tokens{{"machine", "Change a machine"},
                                        {"name", "Its name"},
                                        {"provision", "Boot it from the image through its BMC"},
                                        {"power", "Power it through its BMC"},
                                        {"media", "Its virtual CD"},
                                        {"boot", "What it boots from next"},
                                        {"inventory", "Compare it with its BMC"},
                                        {"check", "What its BMC can do"},
                                        {"action", "What to do"},
                                        {"target", "As its BMC calls it: Cd, Pxe, Hdd, UefiHttp …"},
                                        {"enabled", "For how long"},
                                        {"image-url", "http(s)://[ADDRESS]/….iso"},
                                        {"--follow", "Show its steps until it is at rest"}};
    for (const Form& form : kForms) {
        for (const bool follows : {false, true}) {
            OpCommand command;
            command.pattern =
                fmt::format("machine {} {{name:word:@machines}}{}{}", form.type, form.rest, follows ? " --follow" : "");
            command.help = form.help;
            command.tokens = tokens;
            command.role = Role::kOperator;
            const Wanted wanted{form.type, follows};
            command.run = [&inventory, &store, wanted](CommandCall call) {
                return create(inventory, store, wanted, std::move(call));
            };
            commands.push_back(std::move(command));
        }
    }
}

}  // namespace

std::vector<OpCommand> job_commands(Inventory& inventory, Store& store) {
    const std::vector<TokenHelp> tokens{{"show", "Show the state of the agent"},
                                        {"job", "A job"},
                                        {"id", "Its number"},
                                        {"--follow", "Show its steps until it is at rest"},
                                        {"cancel", "Stop it and clean up behind it"}};
    std::vector<OpCommand> commands;
    commands.push_back({"show bmc", "Registered BMCs, and what jobs learnt about them", tokens, Role::kViewer,
                        [&inventory, &store](CommandCall) { return show_bmc(inventory, store); }});
    commands.push_back({"show job {id:word:@jobs}", "All about one job", tokens, Role::kViewer,
                        [&inventory](CommandCall call) { return show_job(inventory, std::move(call)); }});
    commands.push_back({"show job {id:word:@jobs} --follow", "The steps of one job, as it takes them", tokens,
                        Role::kViewer, [&inventory, &store](CommandCall call) {
                            auto id = call.arg("id");
                            return follow(inventory, store, std::move(id), std::move(call));
                        }});
    commands.push_back({"job {id:word:@jobs} cancel", "Stop a job", tokens, Role::kOperator,
                        [&inventory](CommandCall call) { return cancel(inventory, std::move(call)); }});
    add_forms(commands, inventory, store);
    return commands;
}

}  // namespace nett
