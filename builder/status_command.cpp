// status: version and health of every agent.
#include <boost/json/array.hpp>

#include "builder/outcome.hpp"
#include "builder/server.hpp"

namespace nett::builder {
namespace {

struct Status {
    v1::Version version;
    v1::Health health;
};

Result<Status> status_of(const std::string& target) {
    Server server(target);
    auto version = call(target, *server.system, &v1::System::Stub::GetVersion, v1::GetVersionRequest());
    if (!version) return fail(std::move(version.error()));
    auto health = call(target, *server.system, &v1::System::Stub::GetHealth, v1::GetHealthRequest());
    if (!health) return fail(std::move(health.error()));
    return Status{std::move(*version), std::move(*health)};
}

std::string to_text(const std::string& target, const Status& status) {
    std::string text = fmt::format("{}: {} nettd {}, health {}\n", target, status.version.hostname(),
                                   status.version.version(), status.health.state());
    for (const v1::Condition& condition : status.health.conditions()) {
        if (condition.state() == "ok") continue;
        text += fmt::format("  {} {} {}: {}", condition.state(), condition.component(), condition.name(),
                            condition.message());
        text += condition.remedy().empty() ? "\n" : fmt::format(" ({})\n", condition.remedy());
    }
    return text;
}

boost::json::object to_json(const std::string& target, const Status& status) {
    boost::json::array plugins;
    for (const std::string& plugin : status.version.plugins()) plugins.emplace_back(plugin);
    boost::json::array conditions;
    for (const v1::Condition& condition : status.health.conditions()) {
        conditions.push_back({{"component", condition.component()},
                              {"name", condition.name()},
                              {"scope", condition.scope()},
                              {"state", condition.state()},
                              {"message", condition.message()},
                              {"remedy", condition.remedy()}});
    }
    return {{"server", target},
            {"hostname", status.version.hostname()},
            {"version", status.version.version()},
            {"build_id", status.version.build_id()},
            {"plugins", std::move(plugins)},
            {"health", status.health.state()},
            {"conditions", std::move(conditions)}};
}

Outcome status_everywhere(const std::vector<std::string>& targets) {
    Outcome outcome;
    boost::json::array servers;
    for (const std::string& target : targets) {
        auto status = status_of(target);
        if (!status) {
            outcome.errors.push_back(std::move(status.error()));
            continue;
        }
        outcome.text += to_text(target, *status);
        servers.push_back(to_json(target, *status));
    }
    outcome.json["servers"] = std::move(servers);
    return outcome;
}

}  // namespace

void add_status_command(CLI::App& application, Invocation& invocation) {
    CLI::App* status = application.add_subcommand(
        "status", "Version and health of every agent; exit status 1 when one cannot be reached");
    status->callback(
        [&invocation] { invocation.action = [&invocation] { return status_everywhere(invocation.servers); }; });
}

}  // namespace nett::builder
