#include "agent/core/config/candidate.hpp"

#include <algorithm>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

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

ConfigManager::ConfigManager(const Grammar& grammar, const Clock& clock, std::string path, ConfigActions actions,
                             std::optional<CommitLog> log)
    : grammar_(grammar), clock_(clock), path_(std::move(path)), actions_(std::move(actions)), log_(std::move(log)) {
    history_.push_front(CommitRecord{0, clock_.system_now(), "start", {}});
}

void ConfigManager::set_running(ConfigNode root, std::string actor) {
    if (log_) {
        auto known = log_->load();
        if (!known.empty()) history_.assign(known.begin(), known.end());
        if (auto pending = log_->unconfirmed(); pending && *pending && (*pending)->revision == revision()) {
            const auto left = (*pending)->deadline - clock_.system_now();
            waiting_ = Waiting{std::move(**pending),
                               clock_.steady_now() + std::chrono::duration_cast<SteadyTime::duration>(left)};
        }
    }
    running_ = std::move(root);
    // A restart with the same configuration is no commit.
    if (revision() == 0 || history_.front().text != print_config(running_)) remember(std::move(actor));
}

// The running configuration becomes the newest of the history.
void ConfigManager::remember(std::string actor) {
    history_.push_front(CommitRecord{revision() + 1, clock_.system_now(), std::move(actor), print_config(running_)});
    if (history_.back().revision == 0 || history_.size() > kKeptCommits) history_.pop_back();
    log_error_.reset();
    if (!log_) return;
    if (auto kept = log_->append(history_.front()); !kept) log_error_ = std::move(kept.error());
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
    auto report = co_await install(std::move(root), std::move(actor));
    if (report) report->confirmed = stop_waiting();
    co_return report;
}

Awaitable<Result<CommitReport>> ConfigManager::install(ConfigNode root, std::string actor) {
    if (committing_) co_return fail(Code::kAborted, "another commit is under way; try again");
    Busy busy(committing_);
    auto warnings = warnings_of(actions_.validate(root), "nothing was changed");
    if (!warnings) co_return fail(std::move(warnings.error()));
    CommitReport report{false, revision(), std::move(*warnings), false, {}};
    if (same_config(running(), root)) co_return report;
    auto applied = co_await actions_.apply(running(), root);
    if (!applied) co_return fail(std::move(applied.error()));
    running_ = std::move(root);
    remember(std::move(actor));
    report.changed = true;
    report.revision = revision();
    if (log_error_) {
        report.warnings.push_back(
            {Diagnostic::Severity::kWarning,
             {},
             fmt::format("in force, but not kept for \"rollback\" after a restart: {}", log_error_->to_string())});
    }
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

Result<std::string> ConfigManager::show_diff(std::size_t steps) const {
    auto root = earlier(steps);
    if (!root) return fail(std::move(root.error()));
    return diff_config(*root, running());
}

Awaitable<Result<CommitReport>> ConfigManager::commit(std::string session, std::string actor,
                                                      std::optional<std::chrono::minutes> confirm_within) {
    if (!has_changes(session)) {
        discard(session);
        CommitReport report{false, revision(), {}, false, {}};
        if (waiting_ && confirm_within) {
            NETT_CO_TRY(wait_for_confirmation(std::move(actor), *confirm_within, waiting_->what.fallback, revision()));
            report.deadline = waiting_->what.deadline;
        } else {
            report.confirmed = stop_waiting();
        }
        co_return report;
    }
    const auto& candidate = candidates_.find(session)->second;
    if (candidate.base_revision != revision()) {
        co_return fail(Code::kAborted,
                       "{} committed meanwhile; \"rebase\" puts your changes on top, \"discard\" drops them",
                       history_.front().actor);
    }
    ConfigNode root = candidate.root;
    // What is gone back to is on disk before anything changes: the change may be what ends the agent.
    const auto before = waiting_;
    if (confirm_within) {
        auto fallback = before ? before->what.fallback : print_config(running());
        NETT_CO_TRY(wait_for_confirmation(actor, *confirm_within, std::move(fallback), revision() + 1));
    }
    auto report = co_await install(std::move(root), std::move(actor));
    if (!report) {
        if (confirm_within) {
            stop_waiting();
            waiting_ = before;
            if (before && log_) NETT_CO_TRY(log_->set_unconfirmed(before->what));
        }
        co_return report;
    }
    if (confirm_within) {
        report->deadline = waiting_->what.deadline;
    } else {
        report->confirmed = stop_waiting();
    }
    // Lines that were typed while the commit was under way stay as changes of the new configuration.
    const auto found = candidates_.find(session);
    if (found != candidates_.end()) {
        found->second.base = running();
        found->second.base_revision = revision();
        if (!has_changes(session)) candidates_.erase(found);
    }
    co_return report;
}

Result<void> ConfigManager::wait_for_confirmation(std::string actor, std::chrono::minutes within, std::string fallback,
                                                  std::uint64_t revision) {
    Waiting next{{revision, clock_.system_now() + within, std::move(actor), std::move(fallback)},
                 clock_.steady_now() + within};
    if (log_) NETT_TRY(log_->set_unconfirmed(next.what));
    waiting_ = std::move(next);
    return {};
}

// True when one waited. A file that cannot be removed names a revision that will not be the newest for long.
bool ConfigManager::stop_waiting() {
    const bool waited = waiting_.has_value();
    waiting_.reset();
    if (log_) [[maybe_unused]]
        const auto cleared = log_->clear_unconfirmed();
    return waited;
}

Awaitable<Result<bool>> ConfigManager::take_back_unconfirmed() {
    if (!waiting_ || clock_.steady_now() < waiting_->due) co_return false;
    auto parsed = parse_config(grammar_, waiting_->what.fallback, "rollback");
    auto usable = warnings_of(std::move(parsed.diagnostics), "the configuration to go back to is refused");
    if (!usable) co_return fail(std::move(usable.error()));
    auto report =
        co_await replace(std::move(parsed.root), fmt::format("system: {} did not confirm", waiting_->what.actor));
    if (!report) co_return fail(std::move(report.error()));
    co_return true;
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

Result<ConfigNode> ConfigManager::earlier(std::size_t steps) const {
    if (steps >= history_.size()) {
        return fail(Code::kNotFound, "there are {} earlier configurations; see \"show commits\"", history_.size() - 1);
    }
    const auto& record = history_[steps];
    auto parsed = parse_config(grammar_, record.text, fmt::format("revision {}", record.revision));
    auto usable =
        warnings_of(std::move(parsed.diagnostics), "this agent does not know all of that configuration any more");
    if (!usable) return fail(std::move(usable.error()));
    return std::move(parsed.root);
}

Result<void> ConfigManager::rollback(const std::string& session, std::size_t steps) {
    auto root = earlier(steps);
    if (!root) return fail(std::move(root.error()));
    candidates_.insert_or_assign(session, Candidate{std::move(*root), running(), revision()});
    return {};
}

Result<void> ConfigManager::load_file(const std::string& session) {
    auto text = read_file(path_, kLargestFile);
    if (!text) return fail(std::move(text.error()));
    auto parsed = parse_config(grammar_, *text, path_);
    auto usable = warnings_of(std::move(parsed.diagnostics), "the file was not loaded");
    if (!usable) return fail(std::move(usable.error()));
    candidates_.insert_or_assign(session, Candidate{std::move(parsed.root), running(), revision()});
    return {};
}

Result<void> ConfigManager::save() const {
    if (waiting_) {
        return fail(Code::kFailedPrecondition,
                    "revision {} waits for its confirmation; \"commit\" confirms it, then save it",
                    waiting_->what.revision);
    }
    return write_config_file(path_, print_config(running()));
}

}  // namespace nett
