// Tells that files may have changed: inotify (inotify(7)) on the directories that lead to them.
//
// Directories, because a file is replaced by a rename more often than written to; and those of every symbolic link on
// the way, because a mounted secret or a release is switched by its link ("live/x.pem -> ../archive/x2.pem").
#pragma once

#include <string>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"

namespace nett::metadata {

// Loop thread only. An overflow or a directory that cannot be watched only makes it silent: callers look by themselves
// now and then.
class FileWatch {
public:
    explicit FileWatch(asio::any_io_executor loop);

    // From now on these files, as their paths lead today. Absolute paths.
    Result<void> set(const std::vector<std::string>& paths);
    // Returns after something happened in one of the directories, or after cancel().
    Awaitable<void> changed();
    void cancel();

private:
    asio::any_io_executor loop_;
    asio::posix::stream_descriptor inotify_;
    std::vector<int> watches_;
};

// The directories to watch for these files: of each, and of each symbolic link on its way. Reads links.
std::vector<std::string> directories_of(const std::vector<std::string>& paths);

}  // namespace nett::metadata
