#include "plugins/metadata/media.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <openssl/evp.h>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/free_with.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/ranges.hpp"

namespace nett::metadata {

namespace {

using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;

Response not_found(Outcome outcome) {
    return plain(404, outcome, "not found");
}

bool is_in(const Address6& source, const std::vector<Prefix6>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& one) { return one.contains(source); });
}

Result<std::shared_ptr<const OpenFile>> open_image(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        return fail(errno == ENOENT ? Code::kNotFound : Code::kInternal, "{}: {}", path, std::strerror(errno));
    }
    return OpenFile::open(path, static_cast<std::uint64_t>(status.st_size));
}

}  // namespace

std::optional<MediaTarget> parse_media_target(std::string_view target) {
    const auto parts = split(target, '/');
    if (parts.size() != 4 || !parts[0].empty() || parts[1] != "m" || !is_media_name(parts[3])) return std::nullopt;
    auto key = media_key(parts[2]);
    if (!key) return std::nullopt;
    return MediaTarget{std::move(*key), std::string(parts[3])};
}

std::optional<std::string> media_refusal(const MediaGrant& grant, const MediaTarget& target,
                                         const MediaSettings& settings, const Address6& source, SystemTime now) {
    if (now >= grant.expires) return "the grant has expired";
    if (!is_in(source, settings.allow)) return "the source is in no prefix of \"media allow\"";
    if (!is_in(source, grant.sources)) return "the source is none of the job's";
    if (grant.file != settings.directory + "/" + target.name) {
        return "the image is not in \"media directory\", or was asked for by another name";
    }
    return std::nullopt;
}

void MediaService::set_settings(MediaSettings settings) {
    while (settings.directory.size() > 1 && settings.directory.ends_with('/')) settings.directory.pop_back();
    settings_.store(std::make_shared<const MediaSettings>(std::move(settings)));
}

Awaitable<Response> MediaService::handle(Request request, const Peer& peer, Conversation&) {
    if (request.method == Method::kOther) co_return plain(405, Outcome::kBadRequest, "only GET and HEAD");
    const auto target = parse_media_target(request.target);
    if (!target) co_return not_found(Outcome::kNotFound);
    const auto record = store_.get(kMediaGrantKind, target->key);
    if (!record) co_return plain(503, Outcome::kShed, "try again");
    if (!*record) co_return not_found(Outcome::kNotFound);
    auto grant = decode<MediaGrant>((*record)->value);
    if (!grant) co_return not_found(Outcome::kError);
    const auto settings = settings_.load();
    const auto now = clock_.system_now();
    if (const auto refusal = media_refusal(*grant, *target, *settings, peer.source, now)) {
        note_refusal(*grant, peer.source, *refusal);
        co_return not_found(Outcome::kRefused);
    }
    MediaGrant wanted = *grant;
    auto response = co_await image(std::move(wanted));
    if (!response) {
        if (const auto held = failure_log_.admit(clock_.steady_now())) {
            log_.error("cannot serve an image",
                       {{"job", grant->job}, {"error", response.error()}, {"suppressed", *held}});
            events_.publish({"media.error", grant->job, response.error().to_string(), {{"machine", grant->machine}}});
        }
        co_return not_found(Outcome::kError);
    }
    ledger_.note_request(*grant, response->file_size, peer.source.to_string(), now);
    auto answer = conditional(std::move(*response), request);
    if (answer.file) follow(answer, *grant);
    co_return answer;
}

Awaitable<Result<Response>> MediaService::image(MediaGrant grant) {
    auto file = open_image(grant.file);
    if (!file) co_return fail(std::move(file.error()));
    auto sha256 = co_await digest(grant.file, *file);
    if (!sha256) co_return fail(std::move(sha256.error()));
    if (!grant.sha256.empty() && *sha256 != grant.sha256) {
        co_return fail(Code::kDataLoss,
                       "{} does not have the digest that it had when the job was made, or that stands in {}{}; put the "
                       "right image there and make the job again",
                       grant.file, grant.file, kMediaDigestSuffix);
    }
    if (grant.sha256.empty()) {
        std::string seen = *sha256;
        auto pinned = co_await pin(grant, std::move(seen));
        if (!pinned) co_return fail(std::move(pinned.error()));
    }
    Response response;
    response.outcome = Outcome::kMedia;
    response.content_type = "application/octet-stream";
    response.etag = std::move(*sha256);
    response.file_size = (*file)->identity().size;
    response.file = std::move(*file);
    response.accept_ranges = true;
    response.no_store = true;
    co_return response;
}

Awaitable<Result<void>> MediaService::pin(MediaGrant grant, std::string sha256) {
    bool other = false;
    RecordEdit edit = [&](const std::optional<Record>& record) -> Result<std::optional<Transaction::Put>> {
        if (!record) return std::optional<Transaction::Put>();  // ended meanwhile
        auto now = decode<MediaGrant>(record->value);
        if (!now) return fail(std::move(now.error()));
        other = !now->sha256.empty() && now->sha256 != sha256;
        if (!now->sha256.empty()) return std::optional<Transaction::Put>();
        now->sha256 = sha256;
        return std::optional(put_of(*now));
    };
    std::string kind(kMediaGrantKind);
    auto written = co_await update_record(store_, std::move(kind), grant.token_sha256, "plugin:metadata",
                                          "first fetch of an image", std::move(edit));
    if (!written) co_return fail(std::move(written.error()));
    if (other) co_return fail(Code::kDataLoss, "{} changed while it was fetched; make the job again", grant.file);
    co_return Result<void>{};
}

Awaitable<Result<std::string>> MediaService::digest(std::string path, std::shared_ptr<const OpenFile> file) {
    {
        const std::lock_guard lock(mutex_);
        const auto known = verified_.find(path);
        const bool fresh = known != verified_.end() && clock_.steady_now() - known->second.read < kMediaDigestAge;
        if (fresh && known->second.identity == file->identity()) co_return known->second.sha256;
    }
    const DigestContext context(EVP_MD_CTX_new());
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
        co_return fail(Code::kInternal, "OpenSSL has no SHA-256");
    }
    std::vector<char> buffer(kMediaDigestChunk);
    for (std::uint64_t offset = 0; offset < file->identity().size;) {
        const auto got = file->read_at(offset, buffer.data(), buffer.size());
        if (!got) co_return fail(Error(got.error()));
        if (*got == 0) co_return fail(Code::kDataLoss, "{} became shorter while it was read", path);
        EVP_DigestUpdate(context.get(), buffer.data(), *got);
        offset += *got;
        co_await asio::post(asio::use_awaitable);  // the others on this thread have their turn
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context.get(), bytes.data(), &size);
    auto sha256 = to_hex({reinterpret_cast<const char*>(bytes.data()), size});
    const std::lock_guard lock(mutex_);
    verified_[path] = {file->identity(), sha256, clock_.steady_now()};
    co_return sha256;
}

void MediaService::follow(Response& response, const MediaGrant& grant) const {
    const auto total = response.file_size;
    response.on_sent = [this, key = grant.token_sha256, job = grant.job, machine = grant.machine,
                        total](ByteRange part) {
        const auto news = ledger_.note_sent(key, part, clock_.system_now());
        if (news == MediaLedger::News::kNone) return;
        const bool complete = news == MediaLedger::News::kComplete;
        events_.publish({complete ? "media.complete" : "media.fetched",
                         job,
                         complete ? "every byte of the image was fetched" : "the first bytes of the image were fetched",
                         {{"machine", machine}, {"size", std::to_string(total)}}});
    };
}

void MediaService::note_refusal(const MediaGrant& grant, const Address6& source, const std::string& reason) {
    const auto held = refusal_log_.admit(clock_.steady_now());
    if (!held) return;
    log_.warning("refused an image", {{"job", grant.job},
                                      {"machine", grant.machine},
                                      {"source", source.to_string()},
                                      {"reason", reason},
                                      {"suppressed", *held}});
    events_.publish({"media.refused", grant.job, reason, {{"machine", grant.machine}, {"source", source.to_string()}}});
}

}  // namespace nett::metadata
