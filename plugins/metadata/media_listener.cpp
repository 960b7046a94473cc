#include "plugins/metadata/media_listener.hpp"

#include <unistd.h>

#include <map>
#include <set>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr const char* kActor = "plugin:metadata";

RequestHandler handler_of(MediaService& service) {
    return [&service](Request request, const Peer& peer, Conversation& conversation) {
        return service.handle(std::move(request), peer, conversation);
    };
}

std::string file_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

MediaListener::MediaListener(const Host& host)
    : host_(host),
      service_(host.store, host.events, host.clock, ledger_),
      http_(std::make_shared<Server>(host.loop, host.io, host.clock, handler_of(service_))),
      https_(std::make_shared<Server>(host.loop, host.io, host.clock, handler_of(service_))),
      tasks_(host.loop, log_),
      tick_(host.loop) {
    http_->set_limits({kMediaMaxConnections, kMediaMaxConnectionsPerSource});
    https_->set_limits({kMediaMaxConnections, kMediaMaxConnectionsPerSource});
}

Result<void> MediaListener::start() {
    auto uses = host_.store.list(kMediaUseKind);
    if (!uses) return fail(std::move(uses.error()));
    for (const auto& record : *uses) {
        if (auto use = decode<MediaUse>(record.value)) ledger_.load(std::move(*use));
    }
    grants_ = host_.store.watch(std::string(kMediaGrantKind), [this](const Change& change) {
        if (!change.value) ledger_.forget(change.key);
    });
    certificates_ = host_.events.subscribe("tls.reloaded", [this](const Event&) { reload_tls(); });
    stopping_ = false;
    tasks_.spawn(keep());
    return {};
}

Result<MediaListener::Prepared> MediaListener::prepare(MediaSettings settings, const TlsFiles& server_files) {
    Prepared out;
    out.files = {server_files.certificate, server_files.private_key, ""};
    if (!settings.https.empty()) {
        auto tls = load_tls(out.files);
        if (!tls) return fail(std::move(tls.error()));
        out.tls = std::move(*tls);
    }
    auto http = http_->open(settings.http);
    if (!http) return fail(std::move(http.error()).in("media"));
    auto https = https_->open(settings.https);
    if (!https) return fail(std::move(https.error()).in("media"));
    out.http = std::move(*http);
    out.https = std::move(*https);
    out.settings = std::move(settings);
    return out;
}

void MediaListener::adopt(Prepared prepared) {
    files_ = std::move(prepared.files);
    settings_ = prepared.settings;
    service_.set_settings(std::move(prepared.settings));
    if (prepared.tls) https_->set_tls(std::move(prepared.tls));
    http_->adopt(std::move(prepared.http));
    https_->adopt(std::move(prepared.https));
}

// A certificate that the machines' listener has taken is good; should reading it fail here, the old one stays.
void MediaListener::reload_tls() {
    if (settings_.https.empty()) return;
    auto tls = load_tls(files_);
    if (tls) {
        https_->set_tls(std::move(*tls));
    } else {
        log_.error("the media listener keeps its old certificate", {{"error", tls.error()}});
    }
}

Awaitable<void> MediaListener::stop(SteadyTime deadline) {
    if (stopping_) co_return;
    stopping_ = true;
    tick_.cancel();
    co_await tasks_.join();
    co_await http_->stop(deadline);
    co_await https_->stop(deadline);
    co_await record();
    grants_.reset();
    certificates_.reset();
}

Awaitable<void> MediaListener::keep() {
    SteadyTime next_sweep{};
    while (!stopping_) {
        co_await record();
        if (host_.clock.steady_now() >= next_sweep) {
            co_await sweep();
            next_sweep = host_.clock.steady_now() + kMediaSweepInterval;
        }
        if (stopping_) break;
        tick_.expires_after(kRecordInterval);
        co_await tick_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

Awaitable<void> MediaListener::record() {
    Transaction transaction;
    for (const auto& use : ledger_.take_changed()) {
        const auto grant = host_.store.get(kMediaGrantKind, use.token_sha256);
        if (grant && *grant) transaction.puts.push_back(put_of(use));
    }
    if (transaction.puts.empty()) co_return;
    transaction.actor = kActor;
    transaction.reason = "images fetched";
    auto written = co_await host_.store.commit(std::move(transaction));
    // The numbers are in memory still, and the next fetch writes them.
    if (!written) log_.warning("cannot record what was fetched of images", {{"error", written.error()}});
}

// Grants that have expired, and uses whose grant is gone.
Awaitable<void> MediaListener::sweep() {
    const auto grants = host_.store.list(kMediaGrantKind);
    const auto uses = host_.store.list(kMediaUseKind);
    if (!grants || !uses) co_return;  // metadata/state says so
    Transaction transaction;
    std::set<std::string> kept;
    const auto now = host_.clock.system_now();
    for (const auto& record : *grants) {
        const auto grant = decode<MediaGrant>(record.value);
        if (grant && grant->expires > now) {
            kept.insert(record.key);
            continue;
        }
        transaction.deletes.push_back({std::string(kMediaGrantKind), record.key});
    }
    for (const auto& record : *uses) {
        if (!kept.contains(record.key)) transaction.deletes.push_back({std::string(kMediaUseKind), record.key});
    }
    if (transaction.deletes.empty()) co_return;
    transaction.actor = kActor;
    transaction.reason = "media grants expired";
    auto written = co_await host_.store.commit(std::move(transaction));
    if (!written) log_.warning("cannot remove expired media grants", {{"error", written.error()}});
}

HealthCondition MediaListener::health() const {
    HealthCondition condition{"metadata", "media", HealthScope::kInfo, HealthState::kOk, "off", {}, {}};
    if (settings_.http.empty() && settings_.https.empty()) return condition;
    condition.message = "serving";
    for (const auto& [server, endpoints] : {std::pair{http_, settings_.http}, std::pair{https_, settings_.https}}) {
        if (endpoints.empty() || server->trouble().empty()) continue;
        condition.state = HealthState::kFailed;
        condition.message = server->trouble();
        condition.remedy = "see \"show media\"; is the limit of open files reached?";
    }
    if (::access(settings_.directory.c_str(), R_OK | X_OK) != 0) {
        condition.state = HealthState::kDegraded;
        condition.message = "cannot read " + settings_.directory;
        condition.remedy = "make the directory of \"media directory\" and put the images into it";
    }
    return condition;
}

void MediaListener::add_to(std::vector<OtherListener>& listeners) const {
    add_listeners(listeners, "media", *http_);
    add_listeners(listeners, "media", *https_);
}

Result<Output> MediaListener::show() const {
    auto grants = host_.store.list(kMediaGrantKind);
    if (!grants) return fail(std::move(grants.error()));
    std::map<std::string, MediaUse> uses;
    for (auto& use : ledger_.all()) uses[use.token_sha256] = std::move(use);
    boost::json::array rows;
    for (const auto& record : *grants) {
        const auto grant = decode<MediaGrant>(record.value);
        if (!grant) continue;
        const auto& use = uses[record.key];
        const auto fetched = use.requests == 0 ? std::string("no")
                             : use.complete    ? std::string("complete")
                                               : fmt::format("{} bytes of {}", use.bytes, use.size);
        rows.push_back({{"job", grant->job},
                        {"machine", grant->machine},
                        {"image", file_name(grant->file)},
                        {"expires", to_rfc3339(grant->expires)},
                        {"requests", use.requests},
                        {"bytes", use.bytes},
                        {"size", use.size},
                        {"complete", use.complete},
                        {"fetched", fetched},
                        {"source", use.source}});
    }
    return Output{std::move(rows),
                  {{"job", "Job"},
                   {"machine", "Machine"},
                   {"image", "Image"},
                   {"fetched", "Fetched"},
                   {"requests", "Requests"},
                   {"source", "Source"},
                   {"expires", "Expires"}},
                  {}};
}

}  // namespace nett::metadata
