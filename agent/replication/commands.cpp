#include <algorithm>

#include <boost/json.hpp>

#include "agent/replication/replication.hpp"

namespace nett::replication {

namespace json = boost::json;

namespace {

// "complete, 6 files", or what is missing and how far it is.
std::string artifacts_text(const json::object& artifacts) {
    const auto number = [](const json::object& object, const char* name) {
        return object.at(name).to_number<std::uint64_t>();
    };
    const auto files = number(artifacts, "files");
    if (artifacts.at("complete").as_bool()) return fmt::format("complete, {} files", files);
    std::string out = fmt::format("{} of {} files are missing", number(artifacts, "missing"), files);
    for (const auto& one : artifacts.at("fetching").as_array()) {
        const auto& fetch = one.as_object();
        const auto size = std::max<std::uint64_t>(number(fetch, "size"), 1);
        out += fmt::format("\n{:<10}{}: {} %", "", std::string(fetch.at("file").as_string()),
                           number(fetch, "received") * 100 / size);
        if (fetch.at("from").is_string()) out += fmt::format(" from {}", std::string(fetch.at("from").as_string()));
        if (!fetch.at("error").as_string().empty())
            out += fmt::format("; {}", std::string(fetch.at("error").as_string()));
    }
    return out;
}

// Of another server: "complete", "3 missing", or "-" when it does not say.
std::string completeness_text(const json::object& server) {
    const auto missing = server.at("artifacts_missing").to_number<std::int64_t>();
    if (missing < 0) return "-";
    return missing == 0 ? "complete" : fmt::format("{} missing", missing);
}

std::string text_of(const json::object& status) {
    const auto text = [&](const char* name) { return std::string(status.at(name).as_string()); };
    const auto number = [&](const char* name) { return json::serialize(status.at(name)); };
    std::string out;
    const auto line = [&](std::string_view title, const std::string& value) {
        out += fmt::format("{:<10}{}\n", title, value);
    };
    line("Role", fmt::format("{} as {} of {}", text("role"), text("name"), text("prefix")));
    line("Doing", text("doing"));
    const auto& age = status.at("age_ms");
    line("Age", age.is_null()
                    ? "not known"
                    : fmt::format("{:.1f} s, at most {} s", age.to_number<double>() / 1000, number("max_lag_s")));
    line("Revision", fmt::format("{} of {}", number("revision"), number("head")));
    line("etcd",
         fmt::format("{} {}", text("member"), status.at("etcd_answers").as_bool() ? "answers" : "is out of reach"));
    if (const auto* artifacts = status.if_contains("artifacts")) {
        line("Artifacts", artifacts_text(artifacts->as_object()));
    }
    if (!text("error").empty()) line("Error", text("error"));
    out += fmt::format("\n{:<20}{:>10}{:>10}  {:<12}{}\n", "Server", "Revision", "Age", "Artifacts", "Announces");
    for (const auto& one : status.at("servers").as_array()) {
        const auto& server = one.as_object();
        const auto age_ms = server.at("age_ms").to_number<std::int64_t>();
        out += fmt::format("{:<20}{:>10}{:>10}  {:<12}{}\n", std::string(server.at("name").as_string()),
                           json::serialize(server.at("revision")),
                           age_ms < 0 ? std::string("-") : fmt::format("{:.1f} s", static_cast<double>(age_ms) / 1000),
                           completeness_text(server), server.at("announcing").as_bool() ? "yes" : "no");
    }
    return out;
}

Awaitable<Result<Output>> show(Replication* replication) {
    Output output;
    if (replication == nullptr) {
        output.data = json::object{{"role", "alone"}};
        output.text = "The state is this server's own: no \"state etcd\" is configured.\n";
        co_return output;
    }
    auto status = replication->status();
    output.text = text_of(status);
    output.data = std::move(status);
    co_return output;
}

Awaitable<Result<Output>> migrate_in(Replication* replication) {
    if (replication == nullptr) {
        co_return fail(Code::kFailedPrecondition,
                       "no \"state etcd\" is in force: configure it, restart nettd, and say this again");
    }
    auto moved = co_await replication->migrate_in();
    if (!moved) co_return fail(std::move(moved.error()));
    Output output;
    output.data = json::object{{"records", *moved}};
    output.text = fmt::format("{} records are in etcd now; this server follows them.\n", *moved);
    co_return output;
}

Awaitable<Result<Output>> migrate_out(Replication* replication, SqliteStore& file) {
    if (replication != nullptr) {
        co_return fail(Code::kFailedPrecondition,
                       "\"state etcd\" is in force: take it out of the configuration, restart nettd, and say this "
                       "again");
    }
    const auto state = file.replica_state();
    if (!state) co_return fail(Error(state.error()));
    if (state->cluster == 0) co_return fail(Code::kFailedPrecondition, "the state file is this server's own already");
    auto left = co_await file.leave_cluster();
    if (!left) co_return fail(std::move(left.error()));
    Output output;
    output.data = json::object{{"records", state->shared_records}};
    output.text = fmt::format("{} records are this server's own now; etcd keeps its copy.\n", state->shared_records);
    co_return output;
}

}  // namespace

std::vector<OpCommand> replication_commands(Replication* replication, SqliteStore& file) {
    const std::vector<TokenHelp> tokens{{"state", "State"}, {"migrate", "Move the state between this server and etcd"}};
    return {{"show replication",
             "How this server's copy of the shared state stands",
             {{"show", "Show state"}},
             Role::kViewer,
             [replication](CommandCall) { return show(replication); }},
            {"state migrate in", "Move this server's state into etcd, which has none yet", tokens, Role::kAdmin,
             [replication](CommandCall) { return migrate_in(replication); }},
            {"state migrate out", "Make this copy of the shared state the server's own", tokens, Role::kAdmin,
             [replication, &file](CommandCall) { return migrate_out(replication, file); }}};
}

}  // namespace nett::replication
