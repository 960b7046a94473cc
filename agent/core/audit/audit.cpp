#include "agent/core/audit/audit.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/model.hpp"
#include "agent/sdk/redact.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr const char* kComponent = "audit";
constexpr mode_t kFileMode = 0640;  // the group of the directory may read it, as with syslog's files
// Words of the command language that a secret follows.
constexpr std::array<std::string_view, 5> kSecretWords{"password", "secret", "token", "community", "key"};
// Between them: the value is a path, not the secret itself.
constexpr std::array<std::string_view, 2> kReferenceWords{"file", "path"};

// Whose URL it is, and no more: receivers of webhooks have their token in any part of the path.
std::string host_of(std::string_view word) {
    const std::string shown = redact_url(word);
    const auto scheme = shown.find("://");
    if (scheme == std::string::npos) return shown;
    const auto path = shown.find('/', scheme + 3);
    return path == std::string::npos ? shown : shown.substr(0, path) + "/…";
}

template <typename Words>
bool among(const Words& words, std::string_view word) {
    const auto lower = to_lower(word);
    return std::find(words.begin(), words.end(), lower) != words.end();
}

}  // namespace

std::string format_audit_line(const AuditEntry& entry, SystemTime time) {
    boost::json::object line{{"time", to_rfc3339(time)}, {"who", entry.actor},     {"role", entry.role},
                             {"what", entry.what},       {"detail", entry.detail}, {"result", entry.result}};
    if (!entry.error.empty()) line["error"] = entry.error;
    return boost::json::serialize(line);
}

std::string redact_line(std::string_view line) {
    std::string out;
    bool secret = false;
    for (const auto word : split(line, ' ')) {
        if (!out.empty()) out += ' ';
        if (secret && !among(kReferenceWords, word) && !word.empty()) {
            out += "***";
        } else {
            out += host_of(word);
        }
        secret = (secret && word.empty()) || among(kSecretWords, word);
    }
    return out;
}

std::vector<ConfigCommand> audit_commands() {
    return {{"",
             "audit file {path:path}",
             "Append every change through the API and the shell, one JSON object a line",
             {{"audit", "Who changed what"}, {"file", "Where it is"}, {"path", "Absolute path"}},
             {},
             {},
             "events only"}};
}

std::string read_audit_file(const ConfigNode& root) {
    return root.text("audit file", "path", "");
}

AuditLog::AuditLog(const Clock& clock, EventBus& events, HealthRegistry& health)
    : clock_(clock), events_(events), health_(health) {}

void AuditLog::report(HealthState state, std::string message) {
    failing_ = state != HealthState::kOk;
    health_.report({kComponent, "file", HealthScope::kInfo, state, std::move(message),
                    failing_ ? "make the file's directory writable for nettd, then send SIGHUP" : ""});
}

void AuditLog::open_locked() {
    file_.reset();
    if (path_.empty()) return;
    file_.reset(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode));
    if (file_) return report(HealthState::kOk, path_);
    report(HealthState::kFailed, fmt::format("{}: cannot be opened: {}", path_, std::strerror(errno)));
}

void AuditLog::set_file(std::string path) {
    const std::lock_guard lock(mutex_);
    if (path == path_) return;
    path_ = std::move(path);
    if (path_.empty()) health_.forget(kComponent);
    open_locked();
}

void AuditLog::reopen() {
    const std::lock_guard lock(mutex_);
    open_locked();
}

void AuditLog::record(AuditEntry entry) {
    if (entry.detail.size() > kMaxAuditDetail) entry.detail.replace(kMaxAuditDetail, std::string::npos, " …");
    const bool refused = entry.result == to_string(Code::kPermissionDenied);
    {
        const std::lock_guard lock(mutex_);
        if (refused) {
            const auto left_out = refusals_.admit(entry.actor, clock_.steady_now());
            if (!left_out) return;
            if (*left_out > 0) entry.error += fmt::format(" ({} earlier refusals are left out)", *left_out);
        }
        const auto line = format_audit_line(entry, clock_.system_now()) + "\n";
        if (!file_ && !path_.empty()) open_locked();
        // One write of one line to a file opened for appending: lines of several threads do not mix (write(2)).
        if (file_) {
            const auto written = ::write(file_.get(), line.data(), line.size());
            if (written != static_cast<ssize_t>(line.size())) {
                report(HealthState::kFailed, fmt::format("{}: cannot be written: {}", path_,
                                                         written < 0 ? std::strerror(errno) : "the disk is full"));
            } else if (failing_) {
                report(HealthState::kOk, path_);
            }
        }
    }
    const std::string subject = entry.actor;
    events_.publish({refused ? "audit.refused" : "audit.change",
                     subject,
                     entry.what + ": " + entry.result,
                     {{"actor", std::move(entry.actor)},
                      {"role", std::move(entry.role)},
                      {"what", std::move(entry.what)},
                      {"detail", std::move(entry.detail)},
                      {"result", std::move(entry.result)},
                      {"error", std::move(entry.error)}},
                     {},
                     0});
}

}  // namespace nett
