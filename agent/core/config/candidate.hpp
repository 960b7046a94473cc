// The running configuration and the candidates that sessions edit.
//
// A candidate starts as a copy of the running configuration. `commit` validates it, applies it, and only then makes it
// the running one; on any error the running configuration stays. A commit over somebody else's newer commit is refused:
// `rebase` puts the session's changes on top of it, `discard` drops them. `write memory` makes the running
// configuration the one of the next start. A commit may wait for its confirmation: it is taken back when none comes in
// time, over restarts of the agent too (agent/commits.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/config/commit_log.hpp"
#include "agent/core/config/grammar.hpp"
#include "agent/core/config/parser.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// The difference as lines "+ …" and "- …" under the lines of the nodes they stand in, indented as in the file; empty
// when there is none. Pure.
std::string diff_config(const ConfigNode& from, const ConfigNode& to);

// The changes from `base` to `mine`, put on `theirs`. kAborted naming the entries that both changed differently. Pure.
Result<ConfigNode> rebase_config(const Grammar& grammar, const ConfigNode& base, const ConfigNode& mine,
                                 const ConfigNode& theirs);

// Replaces the file's bytes so that a crash leaves either the old or the new file, whole. The old one is kept as
// PATH.sav.
Result<void> write_config_file(const std::string& path, std::string_view text);
// The same for a file that only its owner reads; nothing is kept.
Result<void> write_private_file(const std::string& path, std::string_view text);

// What the agent does with a configuration.
struct ConfigActions {
    // All findings; errors keep it from being committed.
    std::function<std::vector<Diagnostic>(const ConfigNode& root)> validate;
    // All or nothing: on error the old configuration is still in force.
    std::function<Awaitable<Result<void>>(const ConfigNode& from, const ConfigNode& to)> apply;
};

// What a commit did.
struct CommitReport {
    bool changed = false;        // false: the candidate was the running configuration
    std::uint64_t revision = 0;  // of the running configuration; counted over restarts where commits are kept on disk
    std::vector<Diagnostic> warnings;
    bool confirmed = false;              // a commit that waited for its confirmation has it now
    std::optional<SystemTime> deadline;  // this commit waits until then
};

// A commit that waits, as this process counts the time: a wall clock that is set does not shorten or stretch it.
struct Waiting {
    Unconfirmed what;
    SteadyTime due;
};

// Loop thread only. References outlive it.
class ConfigManager {
public:
    // Without a `log`, commits are forgotten when the agent ends.
    ConfigManager(const Grammar& grammar, const Clock& clock, std::string path, ConfigActions actions,
                  std::optional<CommitLog> log = std::nullopt);

    const std::string& path() const { return path_; }
    const ConfigNode& running() const { return running_; }
    std::uint64_t revision() const { return history_.front().revision; }
    // Newest first; [0] is the running one.
    const std::deque<CommitRecord>& history() const { return history_; }

    // At start, before anything can commit: `root` is in force. Reads the log; a commit that waits goes on waiting.
    void set_running(ConfigNode root, std::string actor);
    // Reads, checks and applies the configuration file anew (SIGHUP). On error the running one stays.
    Awaitable<Result<CommitReport>> reload(std::string actor);
    // Validates, applies and installs a whole configuration. It needs no confirmation; one that waited is over.
    Awaitable<Result<CommitReport>> replace(ConfigNode root, std::string actor);

    // The session's candidate, made from the running configuration when it has none, or one without changes.
    ConfigNode& candidate(const std::string& session);
    bool has_candidate(const std::string& session) const { return candidates_.contains(session); }
    // The candidate differs from the configuration that it started from.
    bool has_changes(const std::string& session) const;
    // Lines of the candidate against the running configuration.
    std::string show_diff(const std::string& session) const;
    // Lines of the running configuration against that of N commits ago.
    Result<std::string> show_diff(std::size_t steps) const;

    // kFailedPrecondition lists all errors of the validation; kAborted: somebody else committed meanwhile, or is just
    // committing. With `confirm_within` the commit is taken back after that time, unless commit() is called again:
    // without it to confirm, with it to wait longer. What is gone back to stays that of before the first of them.
    Awaitable<Result<CommitReport>> commit(std::string session, std::string actor,
                                           std::optional<std::chrono::minutes> confirm_within = std::nullopt);
    // The commit that waits for its confirmation.
    const std::optional<Waiting>& waiting() const { return waiting_; }
    // When the time of the one that waits is over: goes back. False: there was nothing to do yet. On error it goes on
    // waiting; call again.
    Awaitable<Result<bool>> take_back_unconfirmed();
    // All findings about the candidate, without putting it in force.
    std::vector<Diagnostic> check(const std::string& session) const;
    Result<void> rebase(const std::string& session);
    void discard(const std::string& session) { candidates_.erase(session); }
    // The candidate becomes the configuration of N commits ago (0: the running one); `commit` puts it in force.
    Result<void> rollback(const std::string& session, std::size_t steps);
    // The candidate becomes what the configuration file says now. kFailedPrecondition with its errors.
    Result<void> load_file(const std::string& session);

    // `write memory`. Blocking, but a file of a few kilobytes. kFailedPrecondition while a commit waits for its
    // confirmation: the next start would be with what may be taken back.
    Result<void> save() const;

private:
    struct Candidate {
        ConfigNode root;
        ConfigNode base;
        std::uint64_t base_revision = 0;
    };

    Result<ConfigNode> earlier(std::size_t steps) const;
    Awaitable<Result<CommitReport>> install(ConfigNode root, std::string actor);
    void remember(std::string actor);
    Result<void> wait_for_confirmation(std::string actor, std::chrono::minutes within, std::string fallback,
                                       std::uint64_t revision);
    bool stop_waiting();

    const Grammar& grammar_;
    const Clock& clock_;
    std::string path_;
    ConfigActions actions_;
    std::optional<CommitLog> log_;
    ConfigNode running_;
    std::deque<CommitRecord> history_;
    std::optional<Waiting> waiting_;
    std::optional<Error> log_error_;  // of the last commit: it is in force, but not in the log
    std::map<std::string, Candidate> candidates_;
    bool committing_ = false;
};

}  // namespace nett
