#include "agent/core/config/candidate.hpp"

#include <algorithm>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kHistoryLength = 50;             // commits that `rollback` can reach
constexpr std::size_t kLargestFile = 4 * 1024 * 1024;  // a configuration of 100,000 lines

// Errors become one Error with a line each; warnings stay.
Result<std::vector<Diagnostic>> warnings_of(std::vector<Diagnostic> findings, std::string_view what) {
    std::string errors;
    for (const auto& finding : findings) {
        if (finding.severity == Diagnostic::Severity::kError) errors += "\n" + finding.to_string();
    }
    if (!errors.empty()) return fail(Code::kFailedPrecondition, "{}:{}", what, errors);
    return findings;
}

// Sets a flag while in scope.
class Busy {
public:
    explicit Busy(bool& flag) : flag_(flag) { flag_ = true; }
    ~Busy() { flag_ = false; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

private:
    bool& flag_;
};

}  // namespace

ConfigManager::ConfigManager(const Grammar& grammar, const Clock& clock, std::string path, ConfigActions actions)
    : grammar_(grammar), clock_(clock), path_(std::move(path)), actions_(std::move(actions)) {
    history_.push_front(CommitRecord{0, clock_.system_now(), "start", ConfigNode()});
}

void ConfigManager::set_running(ConfigNode root, std::string actor) {
    history_.push_front(CommitRecord{revision() + 1, clock_.system_now(), std::move(actor), std::move(root)});
    if (history_.back().revision == 0 || history_.size() > kHistoryLength) history_.pop_back();
}

Awaitable<Result<CommitReport>> ConfigManager::reload(std::string actor) {
    auto text = read_file(path_, kLargestFile);
    if (!text) co_return fail(std::move(text.error()));
    auto parsed = parse_config(grammar_, *text, path_);
    auto warnings = warnings_of(std::move(parsed.diagnostics), "the file was not applied");
    if (!warnings) co_return fail(std::move(warnings.error()));
    auto report = co_await replace(std::move(parsed.root), std::move(actor));
    if (report) report->warnings.insert(report->warnings.begin(), warnings->begin(), warnings->end());
    co_return report;
}

Awaitable<Result<CommitReport>> ConfigManager::replace(ConfigNode root, std::string actor) {
    if (committing_) co_return fail(Code::kAborted, "another commit is under way; try again");
    Busy busy(committing_);
    auto warnings = warnings_of(actions_.validate(root), "nothing was changed");
    if (!warnings) co_return fail(std::move(warnings.error()));
    CommitReport report{false, revision(), std::move(*warnings)};
    if (same_config(running(), root)) co_return report;
    auto applied = co_await actions_.apply(running(), root);
    if (!applied) co_return fail(std::move(applied.error()));
    set_running(std::move(root), std::move(actor));
    report.changed = true;
    report.revision = revision();
    co_return report;
}

ConfigNode& ConfigManager::candidate(const std::string& session) {
    const auto found = candidates_.find(session);
    if (found != candidates_.end() && (has_changes(session) || found->second.base_revision == revision())) {
        return found->second.root;
    }
    candidates_.erase(session);
    return candidates_.emplace(session, Candidate{running(), running(), revision()}).first->second.root;
}

bool ConfigManager::has_changes(const std::string& session) const {
    const auto found = candidates_.find(session);
    return found != candidates_.end() && !same_config(found->second.base, found->second.root);
}

std::string ConfigManager::show_diff(const std::string& session) const {
    const auto found = candidates_.find(session);
    return found == candidates_.end() ? std::string() : diff_config(running(), found->second.root);
}

Awaitable<Result<CommitReport>> ConfigManager::commit(std::string session, std::string actor) {
    if (!has_changes(session)) {
        discard(session);
        co_return CommitReport{false, revision(), {}};
    }
    const auto& candidate = candidates_.find(session)->second;
    if (candidate.base_revision != revision()) {
        co_return fail(Code::kAborted,
                       "{} committed meanwhile; \"rebase\" puts your changes on top, \"discard\" drops them",
                       history_.front().actor);
    }
    ConfigNode root = candidate.root;
    auto report = co_await replace(std::move(root), std::move(actor));
    if (!report) co_return report;
    // Lines that were typed while the commit was under way stay as changes of the new configuration.
    const auto found = candidates_.find(session);
    if (found != candidates_.end()) {
        found->second.base = running();
        found->second.base_revision = revision();
        if (!has_changes(session)) candidates_.erase(found);
    }
    co_return report;
}

std::vector<Diagnostic> ConfigManager::check(const std::string& session) const {
    const auto found = candidates_.find(session);
    return actions_.validate(found == candidates_.end() ? running() : found->second.root);
}

Result<void> ConfigManager::rebase(const std::string& session) {
    const auto found = candidates_.find(session);
    if (found == candidates_.end()) return {};
    auto& candidate = found->second;
    auto merged = rebase_config(grammar_, candidate.base, candidate.root, running());
    if (!merged) return fail(std::move(merged.error()));
    candidate = Candidate{std::move(*merged), running(), revision()};
    return {};
}

Result<void> ConfigManager::rollback(const std::string& session, std::size_t steps) {
    if (steps >= history_.size()) {
        return fail(Code::kNotFound, "there are {} earlier configurations; see \"show commits\"", history_.size() - 1);
    }
    candidates_.insert_or_assign(session, Candidate{history_[steps].root, running(), revision()});
    return {};
}

Result<void> ConfigManager::save() const {
    return write_config_file(path_, print_config(running()));
}

}  // namespace nett
