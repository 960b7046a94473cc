// The audit log: who changed what through the API or the shell, when, and with what result.
//
// One JSON object a line, appended to the file of `audit file PATH`, and an event each: "audit.change", or
// "audit.refused" for what the caller had no right to, of which a caller gets kMaxRefusals a minute. The file is
// opened for appending only and opened anew at SIGHUP, so that logrotate can move it away. A secret never gets here:
// callers describe requests by agent/api/audit.hpp, and lines of the shell pass redact_line().
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/access/access.hpp"
#include "agent/core/audit/refusals.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/unique_fd.hpp"

namespace nett {

// One change, done or refused.
struct AuditEntry {
    std::string actor;   // "unix:root", "tls:ops.example"
    std::string role;    // role_text()
    std::string what;    // "Inventory/PutMachine", "shell"
    std::string detail;  // what of the request may be shown, "machine { name: node-1 … }"
    std::string result;  // "OK", or the error's class
    std::string error;   // its message
};

// A configuration's change with many lines is cut off here; the file of the configuration has them all.
inline constexpr std::size_t kMaxAuditDetail = 4096;

// The line of an entry, without a newline. Pure.
std::string format_audit_line(const AuditEntry& entry, SystemTime time);

// A line of the shell or of the configuration with its secrets left out: of URLs all but the host, and the word after
// "password", "secret", "token" or "community". Pure.
std::string redact_line(std::string_view line);

std::vector<ConfigCommand> audit_commands();
// The configured file; empty: none.
std::string read_audit_file(const ConfigNode& root);

// Thread-safe, except set_file() and reopen(): loop thread.
class AuditLog {
public:
    AuditLog(const Clock& clock, EventBus& events, HealthRegistry& health);

    // Where entries go from now on; empty: only to the events. A file that cannot be written is a health condition
    // "audit/file", and no reason to refuse a change.
    void set_file(std::string path);
    // Opens the file anew, after a rotation.
    void reopen();

    // What is refused beyond the limit of its caller is left out, and the next entry says how many.
    void record(AuditEntry entry);

private:
    void open_locked();
    void report(HealthState state, std::string message);

    const Clock& clock_;
    EventBus& events_;
    HealthRegistry& health_;
    std::mutex mutex_;  // guards what follows
    RefusalLimit refusals_;
    std::string path_;
    UniqueFd file_;
    bool failing_ = false;
};

}  // namespace nett
