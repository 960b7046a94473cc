// Images for BMCs: from "/m/<token>/<name>.iso" to bytes. No sockets; tests call handle() directly.
//
// Whatever is not served is answered by the same bytes: an unknown token, an expired one, a source that is not allowed
// and a missing file cannot be told apart. No path of a request ever becomes a path of the file system: the grant names
// the file, and only a plain name in the one media directory is opened.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/media.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/log_limiter.hpp"
#include "plugins/metadata/media_ledger.hpp"
#include "plugins/metadata/open_file.hpp"
#include "plugins/metadata/shared_value.hpp"

namespace nett::metadata {

struct MediaSettings {
    std::vector<boost::asio::ip::tcp::endpoint> http;
    std::vector<boost::asio::ip::tcp::endpoint> https;
    std::string directory;       // of the images; nothing outside it is ever opened
    std::vector<Prefix6> allow;  // a source must be in one of these and in one of the grant's
};

// The token and the file name of a media URL; nullopt for any other target.
struct MediaTarget {
    std::string key;  // SHA-256 of the token
    std::string name;
};
std::optional<MediaTarget> parse_media_target(std::string_view target);

// Why a grant is not served to this source now; nullopt when it is. Pure. For logs: the client is not told.
std::optional<std::string> media_refusal(const MediaGrant& grant, const MediaTarget& target,
                                         const MediaSettings& settings, const Address6& source, SystemTime now);

// Any thread: requests run concurrently on io threads. Store, events, clock and ledger outlive it.
class MediaService {
public:
    MediaService(Store& store, EventBus& events, const Clock& clock, MediaLedger& ledger)
        : store_(store), events_(events), clock_(clock), ledger_(ledger) {}

    void set_settings(MediaSettings settings);
    Awaitable<Response> handle(Request request, const Peer& peer, Conversation& conversation);

private:
    Awaitable<Result<Response>> image(MediaGrant grant);
    Awaitable<Result<std::string>> digest(std::string path, std::shared_ptr<const OpenFile> file);
    // A job that named no digest: from its first fetch on the image has to stay what it was then.
    Awaitable<Result<void>> pin(MediaGrant grant, std::string sha256);
    void follow(Response& response, const MediaGrant& grant) const;
    void note_refusal(const MediaGrant& grant, const Address6& source, const std::string& reason);

    Store& store_;
    EventBus& events_;
    const Clock& clock_;
    MediaLedger& ledger_;
    SharedValue<MediaSettings> settings_{std::make_shared<const MediaSettings>()};
    Logger log_{"metadata"};
    LogLimiter refusal_log_;
    LogLimiter failure_log_;

    // What an image's digest was when it was read last: one of 100 MiB takes a quarter of a second. Read again when the
    // file's identity is another, and after kMediaDigestAge: a disk may lose bytes without telling. Bounded by the
    // number of files in the media directory.
    struct Verified {
        FileIdentity identity;
        std::string sha256;
        SteadyTime read{};
    };
    std::mutex mutex_;
    std::map<std::string, Verified> verified_;  // by path; guarded
};

}  // namespace nett::metadata
