// Keeps a server's TLS context as its files are: watches them, takes over what can be used, refuses what cannot.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/plugin.hpp"
#include "plugins/metadata/file_watch.hpp"
#include "plugins/metadata/server.hpp"
#include "plugins/metadata/tls.hpp"

namespace nett::metadata {

// What became of the files, for `show tls` and `show health`.
struct TlsReloads {
    SystemTime loaded{};      // of the context in use
    std::string trigger;      // "start", "configuration" or "file"
    std::uint64_t count = 0;  // changes of the files taken over since the start
    std::uint64_t refused = 0;
    SystemTime refused_at{};
    std::string error;  // why the files as they are now are not in use; empty: they are
};

// An error when a certificate is not valid at `now`: of a changed file that is no progress. Pure.
Result<void> check_usable(const TlsContext& tls, SystemTime now);

// Loop thread only. A new context is for new connections; live ones keep theirs.
class TlsKeeper {
public:
    // device, inode, size, mtime and ctime in nanoseconds of each file; zeros when there is no such file
    using Fingerprint = std::vector<std::array<std::uint64_t, 5>>;
    struct Loaded {
        std::shared_ptr<const TlsContext> tls;
        Fingerprint seen;  // of the files just before they were read
    };

    // `reloaded` is called after changed files were taken over, for other servers with the same certificate.
    TlsKeeper(const Host& host, Server& server, std::function<void(const TlsFiles&)> reloaded);

    // As load_tls().
    static Result<Loaded> load(const TlsFiles& files);
    // By configuration. Watches its files from now on.
    void adopt(Loaded loaded);
    // Until stop(): looks after each change of the directories, once it has settled.
    Awaitable<void> run();
    void stop();
    // Reads the files again if they differ from when they were last read, and says what came of it. Besides run(),
    // called now and then, for what inotify cannot see (network file systems).
    void look();

    const TlsReloads& reloads() const { return reloads_; }

private:
    static Fingerprint fingerprint_of(const TlsFiles& files);
    void announce(const TlsContext& tls);
    void refuse(const Error& error);

    const Host& host_;
    Server& server_;
    const std::function<void(const TlsFiles&)> reloaded_;
    Logger log_{"metadata"};
    FileWatch watch_;
    asio::steady_timer settling_;
    TlsFiles files_;
    Fingerprint seen_;
    SystemTime retry_at_{};  // of files that were refused for the time on the clock only; the epoch: no
    TlsReloads reloads_;
    bool stopping_ = false;
};

}  // namespace nett::metadata
