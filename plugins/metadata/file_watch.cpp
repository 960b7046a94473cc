#include "plugins/metadata/file_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett::metadata {

namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR;
constexpr int kMaxLinks = 40;  // as the kernel follows, path_resolution(7)

void add(std::vector<std::string>& directories, const fs::path& directory) {
    const auto text = directory.string();
    if (std::find(directories.begin(), directories.end(), text) == directories.end()) directories.push_back(text);
}

// Follows one path, link by link.
void follow(fs::path path, std::vector<std::string>& directories) {
    for (int links = 0; links < kMaxLinks; ++links) {
        add(directories, path.parent_path());
        fs::path walked;
        fs::path next;
        for (auto part = path.begin(); part != path.end(); ++part) {
            walked /= *part;
            std::error_code error;
            const auto target = fs::read_symlink(walked, error);
            if (error) continue;
            add(directories, walked.parent_path());
            next = target.is_absolute() ? target : walked.parent_path() / target;
            for (auto rest = std::next(part); rest != path.end(); ++rest) next /= *rest;
            break;
        }
        if (next.empty()) return;
        path = next.lexically_normal();
    }
}

}  // namespace

std::vector<std::string> directories_of(const std::vector<std::string>& paths) {
    std::vector<std::string> directories;
    for (const auto& path : paths) follow(path, directories);
    return directories;
}

FileWatch::FileWatch(asio::any_io_executor loop) : loop_(loop), inotify_(loop) {}

Result<void> FileWatch::set(const std::vector<std::string>& paths) {
    if (!inotify_.is_open()) {
        const int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (fd < 0) return fail(Code::kUnavailable, "inotify: {}", std::strerror(errno));
        inotify_.assign(fd);
    }
    const int fd = inotify_.native_handle();
    std::vector<int> watches;
    for (const auto& directory : directories_of(paths)) {
        const int watch = ::inotify_add_watch(fd, directory.c_str(), kEvents);
        if (watch >= 0) watches.push_back(watch);
    }
    for (const int old : watches_) {
        if (std::find(watches.begin(), watches.end(), old) == watches.end()) ::inotify_rm_watch(fd, old);
    }
    watches_ = std::move(watches);
    return {};
}

Awaitable<void> FileWatch::changed() {
    if (!inotify_.is_open()) co_return;
    co_await inotify_.async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    // What happened does not matter: the files are looked at anyway.
    std::array<char, 4096> events;
    while (inotify_.is_open() && ::read(inotify_.native_handle(), events.data(), events.size()) > 0) {
    }
}

void FileWatch::cancel() {
    boost::system::error_code ignored;
    inotify_.close(ignored);
    watches_.clear();
}

}  // namespace nett::metadata
