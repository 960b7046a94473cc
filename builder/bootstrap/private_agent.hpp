// An agent of our own: nettd without plugins on a folder, reached through a socket that only we know.
#pragma once

#include <string>

#include <sys/types.h>

#include "agent/sdk/result.hpp"
#include "builder/file.hpp"

namespace nett::builder {

// Lives as long as this object, and no longer than this process. Its state is below ROOT/var/lib/nett, its
// configuration ROOT/etc/nett/nett.conf.
class PrivateAgent {
public:
    // Makes the folders below `root` (absolute) and returns when the agent answers. kFailedPrecondition when `program`
    // cannot be run, kUnavailable with the end of its log when it does not come up.
    static Result<PrivateAgent> start(const std::string& program, const std::string& root, const std::string& hostname);
    PrivateAgent(PrivateAgent&& other) noexcept;
    PrivateAgent& operator=(PrivateAgent&&) = delete;
    ~PrivateAgent();

    std::string target() const;  // for Server
    // Takes its backup, artifacts and key included, into the new file `to`. kUnavailable, or why the disk refuses.
    Result<void> backup(const std::string& to) const;

private:
    explicit PrivateAgent(WorkFolder sockets) : sockets_(std::move(sockets)) {}
    Result<void> wait_ready(int notifications, const std::string& program, const std::string& log) const;

    WorkFolder sockets_;  // a short path: a Unix socket's name has 107 bytes at most
    pid_t child_ = 0;
};

}  // namespace nett::builder
