#include "plugins/metadata/tls_keeper.hpp"

#include <sys/stat.h>

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/model.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

std::uint64_t nanoseconds(const timespec& time) {
    constexpr std::uint64_t kPerSecond = 1'000'000'000;
    return static_cast<std::uint64_t>(time.tv_sec) * kPerSecond + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

Result<void> check_usable(const TlsContext& tls, SystemTime now) {
    const auto& certificate = tls.certificate;
    if (now > certificate.not_after) {
        return fail(Code::kInvalidArgument, "{}: the certificate expired at {}", tls.files.certificate,
                    to_rfc3339(certificate.not_after));
    }
    if (now < certificate.not_before) {
        return fail(Code::kFailedPrecondition, "{}: the certificate is not valid before {}", tls.files.certificate,
                    to_rfc3339(certificate.not_before));
    }
    return {};
}

TlsKeeper::TlsKeeper(const Host& host, Server& server, std::function<void(const TlsFiles&)> reloaded)
    : host_(host), server_(server), reloaded_(std::move(reloaded)), watch_(host.loop), settling_(host.loop) {}

TlsKeeper::Fingerprint TlsKeeper::fingerprint_of(const TlsFiles& files) {
    Fingerprint out;
    for (const auto& path : files.all()) {
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0) status = {};
        out.push_back({status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
                       nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)});
    }
    return out;
}

Result<TlsKeeper::Loaded> TlsKeeper::load(const TlsFiles& files) {
    auto seen = fingerprint_of(files);
    auto tls = load_tls(files);
    if (!tls) return fail(std::move(tls.error()));
    return Loaded{std::move(*tls), std::move(seen)};
}

void TlsKeeper::adopt(Loaded loaded) {
    const auto before = server_.tls();
    reloads_.trigger = before ? "configuration" : "start";
    reloads_.loaded = host_.clock.system_now();
    reloads_.error.clear();
    files_ = loaded.tls->files;
    seen_ = std::move(loaded.seen);
    retry_at_ = {};
    if (auto watched = watch_.set(files_.all()); !watched) {
        log_.warning("certificate files are looked at now and then only", {{"error", watched.error()}});
    }
    if (before && before->certificate.sha256 != loaded.tls->certificate.sha256) announce(*loaded.tls);
    server_.set_tls(std::move(loaded.tls));
}

void TlsKeeper::announce(const TlsContext& tls) {
    const auto& certificate = tls.certificate;
    log_.info("certificate files reloaded", {{"subject", certificate.subject}, {"sha256", certificate.sha256}});
    host_.events.publish({"tls.reloaded",
                          certificate.subject,
                          "new connections use the changed files",
                          {{"sha256", certificate.sha256}, {"not_after", to_rfc3339(certificate.not_after)}}});
}

Awaitable<void> TlsKeeper::run() {
    while (!stopping_) {
        co_await watch_.changed();
        if (stopping_) co_return;
        // Certificate and key are two files: give their writer the time for both.
        settling_.expires_after(kTlsSettling);
        co_await settling_.async_wait(asio::as_tuple(asio::use_awaitable));
        if (!stopping_) look();
    }
}

void TlsKeeper::stop() {
    stopping_ = true;
    watch_.cancel();
    settling_.cancel();
}

void TlsKeeper::look() {
    const auto now = host_.clock.system_now();
    const bool retry = retry_at_ != SystemTime{} && now >= retry_at_;
    if (fingerprint_of(files_) == seen_ && !retry) return;
    (void)watch_.set(files_.all());  // links may lead elsewhere now; adopt() has said it if there is no inotify
    retry_at_ = {};
    seen_ = fingerprint_of(files_);
    auto loaded = load(files_);
    if (!loaded) return refuse(loaded.error());
    if (auto usable = check_usable(*loaded->tls, now); !usable) {
        if (usable.error().code == Code::kFailedPrecondition) retry_at_ = loaded->tls->certificate.not_before;
        return refuse(usable.error());
    }
    reloads_.loaded = now;
    reloads_.trigger = "file";
    reloads_.error.clear();
    ++reloads_.count;
    announce(*loaded->tls);
    server_.set_tls(std::move(loaded->tls));
    reloaded_(files_);
}

void TlsKeeper::refuse(const Error& error) {
    const auto text = error.to_string();
    reloads_.refused_at = host_.clock.system_now();
    ++reloads_.refused;
    if (std::exchange(reloads_.error, text) == text) return;
    log_.error("changed certificate files are refused; the old ones stay in use", {{"error", text}});
    host_.events.publish({"tls.refused", files_.certificate, text, {}});
}

}  // namespace nett::metadata
