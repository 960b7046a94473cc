// The running configuration and the candidates that sessions edit.
//
// A candidate starts as a copy of the running configuration. `commit` validates it, applies it, and only then makes it
// the running one; on any error the running configuration stays. A commit over somebody else's newer commit is refused:
// `rebase` puts the session's changes on top of it, `discard` drops them. `write memory` makes the running
// configuration the one of the next start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

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

// What the agent does with a configuration.
struct ConfigActions {
    // All findings; errors keep it from being committed.
    std::function<std::vector<Diagnostic>(const ConfigNode& root)> validate;
    // All or nothing: on error the old configuration is still in force.
    std::function<Awaitable<Result<void>>(const ConfigNode& from, const ConfigNode& to)> apply;
};

// One configuration that was in force, for `show commits` and `rollback N`.
struct CommitRecord {
    std::uint64_t revision = 0;
    SystemTime time;
    std::string actor;
    ConfigNode root;
};

// What a commit did.
struct CommitReport {
    bool changed = false;        // false: the candidate was the running configuration
    std::uint64_t revision = 0;  // of the running configuration, counted since the agent's start
    std::vector<Diagnostic> warnings;
};

// Loop thread only. References outlive it.
class ConfigManager {
public:
    ConfigManager(const Grammar& grammar, const Clock& clock, std::string path, ConfigActions actions);

    const std::string& path() const { return path_; }
    const ConfigNode& running() const { return history_.front().root; }
    std::uint64_t revision() const { return history_.front().revision; }
    // Newest first; [0] is the running one.
    const std::deque<CommitRecord>& history() const { return history_; }

    // At start, before anything can commit: `root` is in force.
    void set_running(ConfigNode root, std::string actor);
    // Reads, checks and applies the configuration file anew (SIGHUP). On error the running one stays.
    Awaitable<Result<CommitReport>> reload(std::string actor);
    // Validates, applies and installs a whole configuration.
    Awaitable<Result<CommitReport>> replace(ConfigNode root, std::string actor);

    // The session's candidate, made from the running configuration when it has none, or one without changes.
    ConfigNode& candidate(const std::string& session);
    bool has_candidate(const std::string& session) const { return candidates_.contains(session); }
    // The candidate differs from the configuration that it started from.
    bool has_changes(const std::string& session) const;
    // Lines of the candidate against the running configuration.
    std::string show_diff(const std::string& session) const;

    // kFailedPrecondition lists all errors of the validation; kAborted: somebody else committed meanwhile, or is just
    // committing.
    Awaitable<Result<CommitReport>> commit(std::string session, std::string actor);
    // All findings about the candidate, without putting it in force.
    std::vector<Diagnostic> check(const std::string& session) const;
    Result<void> rebase(const std::string& session);
    void discard(const std::string& session) { candidates_.erase(session); }
    // The candidate becomes the configuration of N commits ago (0: the running one); `commit` puts it in force.
    Result<void> rollback(const std::string& session, std::size_t steps);

    // `write memory`. Blocking, but a file of a few kilobytes.
    Result<void> save() const;

private:
    struct Candidate {
        ConfigNode root;
        ConfigNode base;
        std::uint64_t base_revision = 0;
    };

    const Grammar& grammar_;
    const Clock& clock_;
    std::string path_;
    ConfigActions actions_;
    std::deque<CommitRecord> history_;
    std::map<std::string, Candidate> candidates_;
    bool committing_ = false;
};

}  // namespace nett
