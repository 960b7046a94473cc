#include "agent/commits.hpp"

#include <algorithm>
#include <filesystem>

#include "agent/core/config/parser.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

namespace {

const Logger kLog("agent");

bool use(const std::string& text, const std::string& name, Setup& setup) {
    auto parsed = parse_config(setup.grammar, text, name);
    if (!parsed.ok()) {
        kLog.error("a commit that waited for its confirmation cannot be used any more; the configuration file counts",
                   {{"error", parsed.diagnostics.front().to_string()}});
        return false;
    }
    setup.config.root = std::move(parsed.root);
    return true;
}

}  // namespace

std::string commit_folder(const std::string& state_file) {
    return (std::filesystem::path(state_file).parent_path() / "commits").string();
}

std::string resume_unconfirmed(const CommitLog& log, SystemTime now, Setup& setup) {
    const auto pending = log.unconfirmed();
    if (!pending) kLog.error("whether a commit waits for its confirmation is not known", {{"error", pending.error()}});
    if (!pending || !*pending) return "file";
    const auto& waiting = **pending;
    const auto known = log.load();
    // A crash between the two files: the commit never came into force.
    const bool newest = !known.empty() && known.front().revision == waiting.revision;
    if (newest && now < waiting.deadline && use(known.front().text, "unconfirmed commit", setup)) {
        kLog.warning("a commit waits for its confirmation", {{"revision", waiting.revision}, {"actor", waiting.actor}});
        return "unconfirmed";
    }
    if (const auto cleared = log.clear_unconfirmed(); !cleared)
        kLog.error("an old commit still waits", {{"error", cleared.error()}});
    if (!newest || now < waiting.deadline || !use(waiting.fallback, "rollback", setup)) return "file";
    kLog.warning("a commit was not confirmed in time; the configuration from before it is in force",
                 {{"revision", waiting.revision}, {"actor", waiting.actor}});
    return fmt::format("system: {} did not confirm", waiting.actor);
}

}  // namespace nett
