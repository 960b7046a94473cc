// commit, rollback, and what was committed.
#include <ctime>

#include <fmt/chrono.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/core/shell/session.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace json = boost::json;

using Outcome = Awaitable<Result<Output>>;

constexpr std::int64_t kFarthestRollback = static_cast<std::int64_t>(kKeptCommits) - 1;
constexpr std::int64_t kLongestWait = 24 * 60;  // minutes; a commit that nobody confirmed by tomorrow is forgotten

json::array texts_of(const std::vector<Diagnostic>& findings) {
    json::array texts;
    for (const auto& finding : findings) texts.emplace_back(finding.to_string());
    return texts;
}

std::string lines_of(const std::vector<Diagnostic>& findings) {
    std::string text;
    for (const auto& finding : findings) text += finding.to_string() + "\n";
    return text;
}

std::string utc(SystemTime time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string told(const CommitReport& report) {
    if (report.deadline && report.changed) {
        return fmt::format("Committed as revision {}. It is taken back at {} unless \"commit\" confirms it.",
                           report.revision, utc(*report.deadline));
    }
    if (report.deadline) return fmt::format("Revision {} now waits until {}.", report.revision, utc(*report.deadline));
    if (report.changed) return fmt::format("Committed as revision {}.", report.revision);
    if (report.confirmed) return fmt::format("Revision {} is confirmed.", report.revision);
    return "There was nothing to commit.";
}

Outcome commit(ConfigManager& config, Session& session, CommandCall call) {
    std::optional<std::chrono::minutes> within;
    if (const auto found = call.args.find("minutes"); found != call.args.end()) {
        auto minutes = parse_integer(found->second, 1, kLongestWait);
        if (!minutes) co_return fail(std::move(minutes.error()));
        within = std::chrono::minutes(*minutes);
    }
    auto report = co_await config.commit(session.name, call.actor, within);
    if (!report) co_return fail(std::move(report.error()));
    Output output;
    output.data = json::object{{"changed", report->changed},
                               {"revision", report->revision},
                               {"confirmed", report->confirmed},
                               {"confirm_by", report->deadline ? json::value(utc(*report->deadline)) : json::value()},
                               {"warnings", texts_of(report->warnings)}};
    output.text = lines_of(report->warnings) + told(*report);
    co_return output;
}

Outcome check(ConfigManager& config, Session& session) {
    const auto findings = config.check(session.name);
    Output output;
    output.data = json::object{{"findings", texts_of(findings)}};
    output.text = findings.empty() ? "The candidate is fit to be committed." : lines_of(findings);
    co_return output;
}

Outcome rebase(ConfigManager& config, Session& session) {
    NETT_CO_TRY(config.rebase(session.name));
    co_return Output();
}

Outcome rollback(ConfigManager& config, Session& session, CommandCall call) {
    auto steps = parse_integer(call.arg("steps"), 0, kFarthestRollback);
    if (!steps) co_return fail(std::move(steps.error()));
    NETT_CO_TRY(config.rollback(session.name, static_cast<std::size_t>(*steps)));
    session.path.clear();
    co_return said(config.has_changes(session.name) ? "Loaded into the candidate; see \"show diff\", then \"commit\"."
                                                    : "That is the running configuration.");
}

Output diff_output(std::string text, std::string_view when_empty) {
    Output output;
    output.text = std::move(text);
    json::array lines;
    for (const auto line : split(output.text, '\n')) {
        if (!line.empty()) lines.emplace_back(line);
    }
    if (lines.empty()) output.text = when_empty;
    output.data = json::object{{"lines", std::move(lines)}};
    return output;
}

Outcome show_diff(ConfigManager& config, Session& session) {
    co_return diff_output(config.show_diff(session.name), "The candidate is the running configuration.");
}

Outcome show_diff_since(ConfigManager& config, CommandCall call) {
    auto steps = parse_integer(call.arg("steps"), 0, kFarthestRollback);
    if (!steps) co_return fail(std::move(steps.error()));
    auto text = config.show_diff(static_cast<std::size_t>(*steps));
    if (!text) co_return fail(std::move(text.error()));
    co_return diff_output(std::move(*text), "That is the running configuration.");
}

// What the newest commit waits for.
std::string waits(const ConfigManager& config, const CommitRecord& record) {
    const auto& waiting = config.waiting();
    if (!waiting || waiting->what.revision != record.revision) return "confirmed";
    return "taken back at " + utc(waiting->what.deadline) + " unless confirmed";
}

Outcome show_commits(ConfigManager& config) {
    Output output;
    output.columns = {
        {"rollback", "Rollback"}, {"revision", "Revision"}, {"time", "Time"}, {"actor", "By"}, {"state", "State"}};
    json::array rows;
    std::size_t steps = 0;
    for (const auto& record : config.history()) {
        rows.push_back(json::object{{"rollback", steps++},
                                    {"revision", record.revision},
                                    {"time", utc(record.time)},
                                    {"actor", record.actor},
                                    {"state", waits(config, record)}});
    }
    output.data = std::move(rows);
    co_return output;
}

}  // namespace

std::vector<ShellCommand> commit_commands(ConfigManager& config) {
    auto* const c = &config;
    std::vector<ShellCommand> list;
    const std::vector<TokenHelp> tokens{{"show", "Show state and configuration"},
                                        {"confirmed", "Take it back unless it is confirmed in time"},
                                        {"minutes", "How long to wait for the confirmation"},
                                        {"check", "Check the candidate without putting it in force"},
                                        {"steps", "How many commits ago; see \"show configuration commit\""},
                                        {"diff", "What is changed"},
                                        {"configuration", "The configuration's history"}};
    const auto add = [&](std::string_view pattern, std::string_view help, Role role, auto run) {
        list.push_back(shell_command(pattern, help, tokens, role, Where::kBoth, std::move(run)));
    };
    using S = Session&;
    using A = CommandCall;
    const auto admin = Role::kAdmin;
    const auto viewer = Role::kViewer;
    const auto put = [c](S s, A a) { return commit(*c, s, std::move(a)); };
    add("commit", "Put the candidate in force; confirms a commit that waits for it", admin, put);
    add(fmt::format("commit confirmed {{minutes:int:1..{}}}", kLongestWait),
        "Put the candidate in force, and take it back unless \"commit\" follows in time", admin, put);
    add("commit check", "Check the candidate without putting it in force", admin, [c](S s, A) { return check(*c, s); });
    add("rebase", "Put uncommitted changes on top of somebody else's commit", admin,
        [c](S s, A) { return rebase(*c, s); });
    add(fmt::format("rollback {{steps:int:0..{}}}", kFarthestRollback),
        "Load an earlier configuration into the candidate", admin,
        [c](S s, A a) { return rollback(*c, s, std::move(a)); });
    add("show diff", "Uncommitted changes", viewer, [c](S s, A) { return show_diff(*c, s); });
    add(fmt::format("show diff {{steps:int:0..{}}}", kFarthestRollback), "What changed since an earlier commit", viewer,
        [c](S, A a) { return show_diff_since(*c, std::move(a)); });
    add("show configuration commit", "Configurations that \"rollback\" can load, and what waits for confirmation",
        viewer, [c](S, A) { return show_commits(*c); });
    add("show commits", "The same as \"show configuration commit\"", viewer, [c](S, A) { return show_commits(*c); });
    return list;
}

}  // namespace nett
